/**
 * How long each message took from the pacer to a consumer. One process, one client; the client's name is the first
 * argument, the task in JSON the second.
 */

import { Buffer } from "node:buffer";
import fs from "node:fs";
import net from "node:net";
import process from "node:process";
import { encodeCommand } from "../../src/resp/writer.ts";
import { subscribeAlone } from "./floor_alone.ts";
import { sharedClock } from "./latency_clock.ts";

/** What the program is told. */
export interface LatencyTask {
  readonly port: number;
  readonly channel: string;
  /** What the stamps count from: nanoseconds of CLOCK_MONOTONIC, as a string since JSON has no such numbers. */
  readonly baseNs: string;
  /** How many messages there are of each pace, one after the other. */
  readonly counts: readonly number[];
}

/** Microseconds from the pacer's write to the consumer, of the messages of one pace. */
export interface Latency {
  readonly count: number;
  readonly min: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Subscribes, resolves when that is acknowledged, and hands every payload to the consumer. */
type Subscriber = (task: LatencyTask, consume: (payload: string) => void) => Promise<void>;

const HOST = "127.0.0.1";
const SUBSCRIBERS: Readonly<Record<string, Subscriber>> = {
  async earshot({ port, channel }, consume) {
    const { Client } = await import("../../mod.ts");
    const pubsub = await new Client(`redis://${HOST}:${port}`).subscribe(channel);
    iterate(async () => {
      for await (const { payload } of pubsub) consume(payload);
    });
  },
  async node_redis({ port, channel }, consume) {
    const { createClient } = await import("redis");
    const redis = createClient({ url: `redis://${HOST}:${port}` });
    redis.on("error", fail);
    await redis.connect();
    await redis.subscribe(channel, consume);
  },
  async ioredis({ port, channel }, consume) {
    const { Redis } = await import("ioredis");
    const redis = new Redis(port, HOST);
    redis.on("error", fail);
    redis.on("message", (_: string, payload: string) => consume(payload));
    await redis.subscribe(channel);
  },
  async iovalkey({ port, channel }, consume) {
    const { Redis } = await import("iovalkey");
    const redis = new Redis(port, HOST);
    redis.on("error", fail);
    redis.on("message", (_: string, payload: string) => consume(payload));
    await redis.subscribe(channel);
  },
  async bun({ port, channel }, consume) {
    const redis = bunClient(`redis://${HOST}:${port}`);
    await redis.connect();
    await redis.subscribe(channel, consume);
  },
  async floor({ port, channel }, consume) {
    const messages = await subscribeAlone(port, channel, STAMP_BYTES);
    iterate(async () => {
      for await (const { payload } of messages) consume(payload);
    });
  },
  raw,
};

/** What we use of Bun's own client, whose types are not here. */
interface BunClient {
  connect(): Promise<void>;
  subscribe(channel: string, listener: (payload: string) => void): Promise<unknown>;
}

function bunClient(url: string): BunClient {
  const { Bun }: { Bun?: { RedisClient: new (url: string) => BunClient } } = globalThis as object;
  if (Bun === undefined) throw new TypeError("Bun's own client is not here: this is another runtime");
  return new Bun.RedisClient(url);
}

/** No client: the fastest way that the runtime has to read a socket, and frames that are all of one length. */
async function raw({ port, channel }: LatencyTask, consume: (payload: string) => void): Promise<void> {
  const subscribe = encodeCommand(["SUBSCRIBE", channel]);
  const buffer = new Uint8Array(64 * 1024);
  const head = `*3\r\n$7\r\nmessage\r\n$${channel.length}\r\n${channel}\r\n$${STAMP_BYTES}\r\n`.length;
  const frame = head + STAMP_BYTES + 2;
  let acknowledge = () => {};
  const acknowledged = new Promise<void>((resolve) => acknowledge = resolve);
  let rest = Buffer.alloc(0);
  let begun = false;
  const take = (count: number) => {
    rest = Buffer.concat([rest, buffer.subarray(0, count)]);
    if (!begun) {
      if (!rest.toString().endsWith(":1\r\n")) return;
      begun = true;
      rest = Buffer.alloc(0);
      return acknowledge();
    }
    for (; rest.length >= frame; rest = rest.subarray(frame)) consume(rest.toString("latin1", head, frame - 2));
  };
  if ("Deno" in globalThis) {
    const conn = await Deno.connect({ hostname: HOST, port });
    conn.setNoDelay(true);
    await conn.write(subscribe);
    iterate(async () => {
      for (let count; (count = await conn.read(buffer)) !== null;) take(count);
    });
  } else {
    const callback = (count: number) => {
      take(count);
      return true;
    };
    const socket = net.connect({ host: HOST, port, noDelay: true, onread: { buffer, callback } });
    socket.on("error", fail);
    socket.once("connect", () => socket.write(subscribe));
  }
  await acknowledged;
}

/** Runs a loop that ends with the process only. */
async function iterate(loop: () => Promise<void>): Promise<void> {
  try {
    await loop();
    fail(new Error("The stream ended before the last message"));
  } catch (error) {
    fail(error);
  }
}

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}

/** A number of ten digits, one for the pace, and nanoseconds in sixteen digits, see `native/pacer.c`. */
const STAMP_BYTES = 27;
const NUMBER_DIGITS = 10;
const ZERO = 0x30;

/** Sees to it that no message is missing, and keeps how long each took. */
class Recorder {
  readonly #clock: () => number;
  readonly #micros: readonly Float64Array[];
  #next = 0;
  #pace = 0;
  #index = 0;

  constructor(clock: () => number, { counts }: LatencyTask) {
    this.#clock = clock;
    this.#micros = counts.map((count) => new Float64Array(count));
  }

  /** Takes a message. */
  take(payload: string): void {
    const now = this.#clock();
    if (payload.length !== STAMP_BYTES || Number(payload.slice(0, NUMBER_DIGITS)) !== this.#next) {
      fail(new Error(`Message ${this.#next} is missing: ${payload}`));
    }
    this.#next++;
    const micros = this.#micros[this.#pace]!;
    if (payload.charCodeAt(NUMBER_DIGITS) - ZERO !== this.#pace) return;
    micros[this.#index++] = (now - Number(payload.slice(NUMBER_DIGITS + 1))) / 1e3;
    if (this.#index < micros.length) return;
    this.#index = 0;
    if (++this.#pace === this.#micros.length) tell(this.#micros.map(latencyOf));
  }
}

function latencyOf(micros: Float64Array): Latency {
  micros.sort();
  const at = (part: number) => micros[Math.round(part * (micros.length - 1))] ?? NaN;
  return { count: micros.length, min: at(0), p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
}

function tell(latencies: readonly Latency[]): never {
  fs.writeSync(1, `${JSON.stringify(latencies)}\n`);
  process.exit(0);
}

async function main(): Promise<void> {
  const [, , client = "", json = ""] = process.argv;
  const task: LatencyTask = JSON.parse(json);
  const subscribe = SUBSCRIBERS[client];
  if (subscribe === undefined) throw new RangeError(`No such client: ${client}`);
  const recorder = new Recorder(await sharedClock(BigInt(task.baseNs)), task);
  await subscribe(task, (payload) => recorder.take(payload));
  fs.writeSync(1, "ready\n");
}

main().catch(fail);
