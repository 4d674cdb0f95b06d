/**
 * One connection and many local streams on one channel, all of them read by `for await`: how many messages a second they
 * take together, and how long it takes to make them and to leave them. The messages come out of memory: each is delivered
 * as often as there are streams, so that to make it is nothing, which the outcome shows. The floor is the same loops over
 * the least queue that can wake them.
 */

import fs from "node:fs";
import process from "node:process";
import { Client, type Codec, text } from "../../mod.ts";
import { Feed } from "./growth_feed.ts";

/** What the program is told, as its one argument, in JSON. */
export interface FanoutTask {
  readonly streams: number;
  /** How many messages are published at once, each of them to be read by all before the next ones: one measurement each. */
  readonly bursts: readonly number[];
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** What it measured. */
export interface FanoutOutcome {
  /** From the first `stream()` until every stream has its first message, in milliseconds. */
  readonly makeMs: number;
  /** From the message at which every loop is left until the last stream is cancelled, in milliseconds. */
  readonly cancelMs: number;
  /** Deliveries a second, for each burst. */
  readonly perSecond: readonly number[];
  /** The same of the floor. */
  readonly floorPerSecond: readonly number[];
  /** Messages a second to one reader alone, some at a time: as many as can be fed at least. */
  readonly sourcePerSecond: number;
  /** Messages that were published while there were many streams, and how often a payload was decoded meanwhile. */
  readonly published: number;
  readonly decoded: number;
}

const CHANNEL = "news";
/** Leaves the loop. */
const END = "end";
const { streams, bursts, warmUpMs, measureMs }: FanoutTask = JSON.parse(process.argv[2] ?? "");

/** What all the loops have read together, and who waits for how much. */
class Progress {
  deliveries = 0;
  #expected = 0;
  #reached: () => void = () => {};

  /** Called by every loop, for every message. */
  add(): void {
    if (++this.deliveries === this.#expected) this.#reached();
  }

  /** Resolves when so many more deliveries have happened; asked before they do. */
  after(more: number): Promise<void> {
    this.#expected = this.deliveries + more;
    return new Promise((resolve) => this.#reached = resolve);
  }
}

/** Reads until the end; gives a checksum of everything, which depends on the order. */
async function read(messages: AsyncIterable<{ readonly payload: string }>, progress: Progress): Promise<number> {
  let checksum = 0;
  for await (const { payload } of messages) {
    progress.add();
    if (payload === END) break;
    checksum = fold(checksum, payload);
  }
  return checksum;
}

function fold(checksum: number, payload: string): number {
  return (Math.imul(checksum, 31) + Number(payload)) | 0;
}

function frame(payload: string): string {
  return `>3\r\n$7\r\nmessage\r\n$${CHANNEL.length}\r\n${CHANNEL}\r\n$${payload.length}\r\n${payload}\r\n`;
}

/** Whoever publishes, and what every reader must have seen. */
class Source {
  published = 0;
  checksum = 0;
  readonly #publish: (payloads: readonly string[]) => void;

  constructor(publish: (payloads: readonly string[]) => void) {
    this.#publish = publish;
  }

  next(burst: number): void {
    const payloads = Array.from({ length: burst }, () => String(this.published++));
    for (const payload of payloads) this.checksum = fold(this.checksum, payload);
    this.#publish(payloads);
  }

  end(): void {
    this.#publish([END]);
  }
}

/** Deliveries a second when `burst` messages are published as soon as `readers` loops have read the last ones. */
async function rate(burst: number, readers: number, source: Source, progress: Progress): Promise<number> {
  const run = async (ms: number) => {
    const [from, before] = [performance.now(), progress.deliveries];
    do {
      const read = progress.after(burst * readers);
      source.next(burst);
      await read;
    } while (performance.now() - from < ms);
    return (progress.deliveries - before) / (performance.now() - from) * 1e3;
  };
  await run(warmUpMs);
  return await run(measureMs);
}

async function rates(readers: number, source: Source, progress: Progress): Promise<number[]> {
  const all: number[] = [];
  for (const burst of bursts) all.push(await rate(burst, readers, source, progress));
  return all;
}

/** Ends the loops; gives how long they took to leave, once all of them have seen the same as was published. */
async function leave(loops: readonly Promise<number>[], source: Source): Promise<number> {
  const from = performance.now();
  source.end();
  const checksums = await Promise.all(loops);
  const ms = performance.now() - from;
  const wrong = checksums.findIndex((checksum) => checksum !== source.checksum);
  if (wrong >= 0) throw new Error(`Stream ${wrong} saw other messages than were published: ${source.published}`);
  return ms;
}

async function ours(): Promise<Omit<FanoutOutcome, "floorPerSecond">> {
  await using feed = new Feed();
  await using redis = new Client({ dial: feed.dial, protocol: 3 });
  const source = () =>
    new Source((payloads) => {
      const bytes = new TextEncoder().encode(payloads.map(frame).join(""));
      feed.feed({ bytes, pieceBytes: bytes.length });
    });

  const alone = new Progress();
  const single = source();
  const loop = [read(await redis.subscribe(CHANNEL), alone)];
  const sourcePerSecond = await rate(64, 1, single, alone);
  await leave(loop, single);

  let decoded = 0;
  const counting: Codec<string> = {
    decode(bytes) {
      decoded++;
      return text.decode(bytes);
    },
  };
  const all = source();
  const progress = new Progress();
  await using pubsub = redis.pubsub();
  const from = performance.now();
  const loops = Array.from(
    { length: streams },
    () => read(pubsub.stream({ channels: CHANNEL }, { codec: counting }), progress),
  );
  await pubsub.synced();
  const first = progress.after(streams);
  all.next(1);
  await first;
  const makeMs = performance.now() - from;
  const perSecond = await rates(streams, all, progress);
  const { published } = all;
  const cancelMs = await leave(loops, all);
  // The message that ends the loops is decoded, too.
  return { makeMs, cancelMs, perSecond, sourcePerSecond, published, decoded: decoded - 1 };
}

/** The least that an async iterator over a queue can be. */
class Least implements AsyncIterableIterator<{ payload: string }> {
  #items: { payload: string }[] = [];
  #at = 0;
  #wake: ((result: IteratorResult<{ payload: string }>) => void) | undefined;

  put(value: { payload: string }): void {
    if (this.#wake === undefined) this.#items.push(value);
    else this.#wake({ value, done: false });
    this.#wake = undefined;
  }

  next(): Promise<IteratorResult<{ payload: string }>> {
    if (this.#at === this.#items.length) return new Promise((resolve) => this.#wake = resolve);
    const value = this.#items[this.#at++]!;
    if (this.#at === this.#items.length) this.#items.length = this.#at = 0;
    return Promise.resolve({ value, done: false });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

async function floor(): Promise<number[]> {
  const queues = Array.from({ length: streams }, () => new Least());
  const source = new Source((payloads) => {
    for (const payload of payloads) {
      const message = { payload };
      for (const queue of queues) queue.put(message);
    }
  });
  const progress = new Progress();
  const loops = queues.map((queue) => read(queue, progress));
  const perSecond = await rates(streams, source, progress);
  await leave(loops, source);
  return perSecond;
}

const outcome: FanoutOutcome = { ...await ours(), floorPerSecond: await floor() };
fs.writeSync(1, `${JSON.stringify(outcome)}\n`);
process.exit(0);
