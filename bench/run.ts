/**
 * One run: a firehose and one consumer, each in a process of its own, and the proof that what arrived is what was sent.
 *
 * @module
 */

import type { Outcome, Task } from "./consumers/tally.ts";
import { type Cell, expectedChecksum, frameBytes } from "./frames.ts";

/** What to run. */
export interface RunOptions {
  readonly cell: Cell;
  /** The command of the firehose. */
  readonly firehose: readonly string[];
  /** The command of the consumer. */
  readonly consumer: readonly string[];
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** What a run measured. */
export interface Measurement {
  /** Messages a second; for the raw reader, as many as its bytes would be. */
  readonly perSecond: number;
  /** Processor time of the consumer, in microseconds a message. */
  readonly cpuMicros: number;
}

/** Besides the two phases a run may take so long: the start of two processes, and 1,000 subscriptions. */
const GRACE_MS = 20_000;

/**
 * Runs.
 *
 * @throws {Error} when a process fails or takes too long, and when the consumer saw anything but what was sent
 */
export async function run(options: RunOptions): Promise<Measurement> {
  const { cell, warmUpMs, measureMs } = options;
  const firehose = new Lines([...options.firehose, JSON.stringify(cell)]);
  const started = [firehose];
  const timer = setTimeout(
    () => started.forEach((process) => process.kill()),
    warmUpMs + measureMs + GRACE_MS,
  );
  try {
    const task: Task = {
      port: Number(await firehose.next()),
      channels: cell.channels,
      warmUpMs,
      measureMs,
    };
    const consumer = new Lines([...options.consumer, JSON.stringify(task)]);
    started.push(consumer);
    if (await consumer.next() !== "ready") {
      throw new Error(
        `The consumer is not ready: ${options.consumer.join(" ")}`,
      );
    }
    await firehose.say("go\n");
    return measured(cell, JSON.parse(await consumer.next()));
  } finally {
    clearTimeout(timer);
    for (const process of started) await process.end();
  }
}

function measured(cell: Cell, outcome: Outcome): Measurement {
  const { count, seconds, cpuSeconds, total, checksum } = outcome;
  if (checksum !== undefined && checksum !== expectedChecksum(cell, total)) {
    throw new Error(
      `The consumer saw other messages than were sent: ${JSON.stringify(outcome)}`,
    );
  }
  const messages = checksum === undefined ? count / frameBytes(cell) : count;
  return {
    perSecond: messages / seconds,
    cpuMicros: cpuSeconds * 1e6 / messages,
  };
}

/** A process that speaks in lines. */
class Lines {
  readonly #command: readonly string[];
  readonly #process: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  #rest = "";

  constructor(command: readonly string[]) {
    const [program = "", ...args] = command;
    this.#command = command;
    this.#process = new Deno.Command(program, {
      args,
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#lines = this.#process.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
  }

  async next(): Promise<string> {
    while (!this.#rest.includes("\n")) {
      const { value, done } = await this.#lines.read();
      if (done) {
        throw new Error(
          `The process ended too early: ${this.#command.join(" ")}`,
        );
      }
      this.#rest += value;
    }
    const end = this.#rest.indexOf("\n");
    const line = this.#rest.slice(0, end);
    this.#rest = this.#rest.slice(end + 1);
    return line;
  }

  async say(text: string): Promise<void> {
    const writer = this.#process.stdin.getWriter();
    await writer.write(new TextEncoder().encode(text));
    writer.releaseLock();
  }

  kill(): void {
    try {
      this.#process.kill("SIGKILL");
    } catch (error) {
      // It has ended by itself.
      if (
        !(error instanceof TypeError || error instanceof Deno.errors.NotFound)
      ) throw error;
    }
  }

  async end(): Promise<void> {
    this.kill();
    await this.#lines.cancel();
    await this.#process.stdin.close().catch(() => {});
    await this.#process.status;
  }
}
