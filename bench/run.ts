/**
 * One run: a firehose and one reader, each in a process of its own, and the proof that what arrived is what was sent.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { Outcome, Task } from "./consumers/tally.ts";
import { type Cell, cycle, expectedChecksum, frameBytes } from "./frames.ts";
import { buildNative } from "./native.ts";
import { Lines } from "./process.ts";
import { BUILD, type Missing } from "./runtimes.ts";

/** The server that writes as fast as the socket takes it, for as many runs as are wanted. */
export class Firehose implements AsyncDisposable {
  readonly #process: Lines;
  /** The messages in RESP2 and RESP3, by cell. */
  readonly #files = new Map<string, readonly string[]>();
  readonly port: number;

  private constructor(process: Lines, port: number) {
    this.#process = process;
    this.port = port;
  }

  /** Starts the fastest one that this machine has: in C where that can be built, else in TypeScript. */
  static async start(missing: Missing): Promise<Firehose> {
    const native = await buildNative("firehose");
    if ("missing" in native) missing(`the firehose in C, a slower one took its place: ${native.missing}`);
    const script = fileURLToPath(new URL("firehose.ts", import.meta.url));
    const process = new Lines(
      "command" in native ? native.command : [Deno.execPath(), "run", "-A", "--no-check", script],
    );
    return new Firehose(process, Number(await process.next(GRACE_MS)));
  }

  /** What comes after the next {@linkcode go}. */
  async load(cell: Cell): Promise<void> {
    const key = `${cell.payloadBytes}-${cell.channels}`;
    const files = this.#files.get(key) ?? await writeCycles(cell, key);
    this.#files.set(key, files);
    await this.#process.say(["load", ...files].join("\t"));
    const answer = await this.#process.next(GRACE_MS);
    if (answer !== "ready") throw new Error(`The firehose is not ready: ${answer}`);
  }

  /** Lets it come, to everybody who has subscribed. */
  async go(): Promise<void> {
    await this.#process.say("go");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.end();
  }
}

async function writeCycles(cell: Cell, key: string): Promise<readonly string[]> {
  return await Promise.all(([2, 3] as const).map(async (protocol) => {
    const file = fileURLToPath(new URL(`cycle-${key}-resp${protocol}`, BUILD));
    await Deno.writeFile(file, cycle(cell, protocol));
    return file;
  }));
}

/** Who reads. */
export interface Reader {
  readonly command: readonly string[];
  /** In C: it takes its task as plain words. */
  readonly native: boolean;
  /** No client: it counts bytes, and has no checksum. */
  readonly raw: boolean;
}

/** What to run. */
export interface RunOptions {
  readonly cell: Cell;
  readonly firehose: Firehose;
  readonly reader: Reader;
  readonly payload: Task["payload"];
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** What a run measured. */
export interface Measurement {
  /** Messages a second; for the raw reader, as many as its bytes would be. */
  readonly perSecond: number;
  /** Processor time of the reader, in microseconds a message. */
  readonly cpuMicros: number;
}

/** Besides the two phases a run may take so long: the start of a process, and 1,000 subscriptions. */
const GRACE_MS = 20_000;

/** Looks at the clock are so far apart, in messages: often enough for the slowest client with the largest payload. */
const STRIDE = 1024;
const LARGE_STRIDE = 16;
const LARGE_BYTES = 16_384;

/**
 * Runs.
 *
 * @throws {Error} when a process fails or takes too long, and when the reader saw anything but what was sent
 */
export async function run(options: RunOptions): Promise<Measurement> {
  const { cell, firehose, payload, warmUpMs, measureMs } = options;
  await firehose.load(cell);
  const stride = cell.payloadBytes < LARGE_BYTES ? STRIDE : LARGE_STRIDE;
  const task: Task = { port: firehose.port, channels: cell.channels, payload, stride, warmUpMs, measureMs };
  await using reader = new Lines([...options.reader.command, ...words(options.reader, task)]);
  const answer = await reader.next(GRACE_MS);
  if (answer !== "ready") throw new Error(`The reader is not ready: ${answer}`);
  await firehose.go();
  return measured(options, JSON.parse(await reader.next(warmUpMs + measureMs + GRACE_MS)));
}

/** The task of a reader as its arguments. */
export function words({ native }: Pick<Reader, "native">, task: Task): string[] {
  if (!native) return [JSON.stringify(task)];
  return [task.port, task.channels, task.stride, task.warmUpMs, task.measureMs].map(String);
}

/**
 * What a reader saw, as a measurement.
 *
 * @throws {Error} when that is not what was sent
 */
export function measured({ cell, reader }: Pick<RunOptions, "cell" | "reader">, outcome: Outcome): Measurement {
  const { count, seconds, cpuSeconds, total, checksum } = outcome;
  if (!reader.raw && checksum !== expectedChecksum(cell, total)) {
    throw new Error(
      `${reader.command.join(" ")} saw other messages than were sent: ${JSON.stringify(outcome)} of ${
        JSON.stringify(cell)
      }`,
    );
  }
  const messages = reader.raw ? count / frameBytes(cell) : count;
  return { perSecond: messages / seconds, cpuMicros: cpuSeconds * 1e6 / messages };
}
