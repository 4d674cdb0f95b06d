/**
 * Publishes as fast as one client does with so many promises at a time, each of them awaited. One process, one client;
 * the client's name is the first argument, the task in JSON the second, and it begins with a line on standard input. Every answer is checked: one channel has a
 * subscriber and the other has none, so an answer that went to the wrong promise is seen.
 */

import fs from "node:fs";
import net from "node:net";
import process from "node:process";

/** What the program is told. */
export interface PublishTask {
  readonly port: number;
  /** How many promises are waited for at any time. */
  readonly inFlight: number;
  /** The channel with one subscriber, who counts. */
  readonly heard: string;
  /** The channel without. */
  readonly unheard: string;
  /** One message of so many goes to the channel with a subscriber. */
  readonly heardOneOf: number;
  readonly payload: string;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** What it measured. */
export interface Published {
  /** Answers in the measured time. */
  readonly count: number;
  readonly seconds: number;
  /** Processor time of the whole process in that time, user and system. */
  readonly cpuSeconds: number;
  /** How many messages went to the channel with a subscriber, since the start. */
  readonly heard: number;
}

type Publish = (channel: string, payload: string) => Promise<number>;

const HOST = "127.0.0.1";

/** Connected clients, every default on but what the name says. */
const PUBLISHERS: Readonly<Record<string, (port: number) => Promise<Publish>>> = {
  async earshot(port) {
    const { Client } = await import("../../mod.ts");
    const redis = new Client({ host: HOST, port });
    return (channel, payload) => redis.publish(channel, payload);
  },
  async node_redis(port) {
    const { createClient } = await import("redis");
    const redis = createClient({ socket: { host: HOST, port } });
    redis.on("error", fail);
    await redis.connect();
    return (channel, payload) => redis.publish(channel, payload);
  },
  ioredis: (port) => ioredis(port, false),
  ioredis_auto: (port) => ioredis(port, true),
  iovalkey: (port) => iovalkey(port, false),
  iovalkey_auto: (port) => iovalkey(port, true),
  async bun(port) {
    const { Bun }: { Bun?: { RedisClient: new (url: string) => BunClient } } = globalThis as object;
    if (Bun === undefined) throw new TypeError("Bun's own client is not here: this is another runtime");
    const redis = new Bun.RedisClient(`redis://${HOST}:${port}`);
    await redis.connect();
    return (channel, payload) => redis.publish(channel, payload);
  },
  raw,
};

/** What we use of Bun's own client, whose types are not here. */
interface BunClient {
  connect(): Promise<void>;
  publish(channel: string, payload: string): Promise<number>;
}

/** The part of Bun's sockets that is used here. */
declare const Bun: {
  connect(options: {
    hostname: string;
    port: number;
    socket: { data(socket: unknown, bytes: Uint8Array): void };
  }): Promise<{ write(text: string): number }>;
};

/** No client, and one message at a time: the fastest socket of the runtime, whose next bytes are the answer. */
async function raw(port: number): Promise<Publish> {
  const decoder = new TextDecoder();
  const command = (channel: string, payload: string) =>
    `*3\r\n$7\r\nPUBLISH\r\n$${channel.length}\r\n${channel}\r\n$${payload.length}\r\n${payload}\r\n`;
  const receivers = (answer: Uint8Array) => Number(decoder.decode(answer).slice(1));
  if ("Deno" in globalThis) {
    const conn = await Deno.connect({ hostname: HOST, port });
    conn.setNoDelay(true);
    const encoder = new TextEncoder();
    const answer = new Uint8Array(64);
    return async (channel, payload) => {
      await conn.write(encoder.encode(command(channel, payload)));
      return receivers(answer.subarray(0, await conn.read(answer) ?? 0));
    };
  }
  let resolve = (_: number) => {};
  const answered = (bytes: Uint8Array) => resolve(receivers(bytes));
  const call = (write: (text: string) => unknown): Publish => (channel, payload) =>
    new Promise((done) => {
      resolve = done;
      write(command(channel, payload));
    });
  if ("Bun" in globalThis) {
    const socket = await Bun.connect({ hostname: HOST, port, socket: { data: (_, bytes) => answered(bytes) } });
    return call((text) => socket.write(text));
  }
  const buffer = new Uint8Array(64);
  const callback = (count: number) => {
    answered(buffer.subarray(0, count));
    return true;
  };
  const socket = net.connect({ host: HOST, port, noDelay: true, onread: { buffer, callback } });
  socket.on("error", fail);
  await new Promise<void>((connected) => socket.once("connect", connected));
  return call((text) => socket.write(text));
}

async function ioredis(port: number, enableAutoPipelining: boolean): Promise<Publish> {
  const { Redis } = await import("ioredis");
  const redis = new Redis({ host: HOST, port, enableAutoPipelining });
  redis.on("error", fail);
  return (channel, payload) => redis.publish(channel, payload);
}

async function iovalkey(port: number, enableAutoPipelining: boolean): Promise<Publish> {
  const { Redis } = await import("iovalkey");
  const redis = new Redis({ host: HOST, port, enableAutoPipelining });
  redis.on("error", fail);
  return (channel, payload) => redis.publish(channel, payload);
}

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}

interface Moment {
  readonly count: number;
  readonly ms: number;
  readonly cpuMicros: number;
}

/** All the loops together. */
class Load {
  readonly #publish: Publish;
  readonly #task: PublishTask;
  #count = 0;
  #sent = 0;
  #heard = 0;
  #state: "running" | "over" = "running";

  constructor(publish: Publish, task: PublishTask) {
    this.#publish = publish;
    this.#task = task;
  }

  async run(): Promise<Published> {
    const { inFlight, warmUpMs, measureMs } = this.#task;
    const loops = Promise.all(Array.from({ length: inFlight }, () => this.#loop()));
    await Promise.race([delay(warmUpMs), loops]);
    const from = this.#moment();
    await Promise.race([delay(measureMs), loops]);
    const to = this.#moment();
    this.#state = "over";
    await loops;
    return {
      count: to.count - from.count,
      seconds: (to.ms - from.ms) / 1e3,
      cpuSeconds: (to.cpuMicros - from.cpuMicros) / 1e6,
      heard: this.#heard,
    };
  }

  async #loop(): Promise<void> {
    const { heard, unheard, heardOneOf, payload } = this.#task;
    while (this.#state === "running") {
      const receivers = this.#sent++ % heardOneOf === 0 ? 1 : 0;
      this.#heard += receivers;
      const answer = await this.#publish(receivers === 1 ? heard : unheard, payload);
      if (answer !== receivers) throw new Error(`PUBLISH answered ${answer} where there were receivers: ${receivers}`);
      this.#count++;
    }
  }

  #moment(): Moment {
    const { user, system } = process.cpuUsage();
    return { count: this.#count, ms: performance.now(), cpuMicros: user + system };
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function main(): Promise<void> {
  const [, , client = "", json = ""] = process.argv;
  const task: PublishTask = JSON.parse(json);
  const connect = PUBLISHERS[client];
  if (connect === undefined) throw new RangeError(`No such client: ${client}`);
  const load = new Load(await connect(task.port), task);
  fs.writeSync(1, "ready\n");
  await new Promise((line) => process.stdin.once("data", line));
  process.stdin.pause();
  const published = await load.run();
  fs.writeSync(1, `${JSON.stringify(published)}\n`);
  process.exit(0);
}

main().catch(fail);
