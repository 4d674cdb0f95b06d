/**
 * A TCP proxy that does to connections what networks do: ends and resets them, cuts them in mid-frame, goes silent as
 * balancers and firewalls do (no FIN, no RST, and TCP still acknowledges), holds bytes up, and lets them through in
 * drops.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setImmediate } from "node:timers";

/** `up`: from the client to the server. */
export type Direction = "up" | "down";

export const DIRECTIONS: readonly Direction[] = ["up", "down"];

/** How bytes pass in one direction. */
export interface Flow {
  /** How long each of them is held up, in milliseconds. @default {0} */
  readonly delayMs?: number;
  /** How many go in one write. @default {as many as there are} */
  readonly piece?: number;
  /** How long it waits between two pieces, in milliseconds; 0: a turn of the event loop. @default {0} */
  readonly pauseMs?: number;
}

/** What becomes of connections that are made from now on. */
export type Welcome = "flowing" | "frozen" | "cut" | "reset";

export class FaultyProxy implements AsyncDisposable {
  readonly port: number;
  #server: Server;
  #lines = new Set<Line>();
  #welcome: Welcome = "flowing";
  /** A client that sends this is frozen, its bytes included. */
  #trigger: string | undefined;
  #flows: Record<Direction, Flow> = { up: {}, down: {} };
  #accepted = 0;
  #awaiting: (() => void)[] = [];
  #longest = 0;

  private constructor(server: Server, port: number, target: number) {
    this.#server = server;
    this.port = port;
    server.on("connection", (near) => this.#accept(near, target));
  }

  /** A proxy on a port of its own, in front of `target`. */
  static async open(target: number): Promise<FaultyProxy> {
    const server = createServer({ allowHalfOpen: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    return new FaultyProxy(server, typeof address === "object" && address !== null ? address.port : 0, target);
  }

  /** How many connections it has accepted. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Resolves when the next connection is accepted. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#awaiting.push(resolve));
  }

  /** How many connections its clients hold open. */
  get open(): number {
    return this.#lines.size;
  }

  /** The longest time that a byte has spent in here before it went on, in milliseconds. */
  get longestStayMs(): number {
    return this.#longest;
  }

  /** Freezes what is there for good, or what comes, or a client that sends `trigger`, once. */
  freeze(
    what: "present" | "future" | { readonly trigger: string },
    directions: readonly Direction[] = DIRECTIONS,
  ): void {
    if (what === "future") this.#welcome = "frozen";
    else if (what === "present") { for (const line of this.#lines) line.freeze(directions); }
    else this.#trigger = what.trigger;
  }

  /** What becomes of connections that are made from now on. */
  welcome(how: Welcome): void {
    this.#welcome = how;
  }

  /** Lets flow what comes from now on. What is frozen stays so: its bytes are lost. */
  thaw(): void {
    this.#welcome = "flowing";
    this.#trigger = undefined;
  }

  /** Holds everything back, also the end of a connection, until {@linkcode go}. */
  stall(directions: readonly Direction[] = DIRECTIONS): void {
    for (const line of this.#lines) for (const direction of directions) line[direction].stall();
  }

  /** Lets everything go on that is stalled, nothing lost. */
  go(): void {
    for (const line of this.#lines) for (const direction of DIRECTIONS) line[direction].go();
  }

  /** How bytes pass from now on, of connections that are there and that come. */
  shape(direction: Direction, flow: Flow): void {
    this.#flows[direction] = flow;
    for (const line of this.#lines) line[direction].shape(flow);
  }

  /** Closes every connection: a FIN on either side. */
  cut(): void {
    for (const line of this.#lines) line.cut();
  }

  /** Resets every connection: an RST on either side. */
  reset(): void {
    for (const line of this.#lines) line.reset();
  }

  /** Lets so many bytes more pass in that direction, and then closes: a frame may end in the middle. */
  truncate(direction: Direction, bytes: number): void {
    for (const line of this.#lines) line[direction].limit(bytes);
  }

  /** Ends every fault that can end; what is frozen stays so. */
  heal(): void {
    this.thaw();
    this.go();
    for (const direction of DIRECTIONS) {
      this.shape(direction, {});
      for (const line of this.#lines) line[direction].limit(Infinity);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nobody is let in any more before those that are there are shown out: whoever came between would stay.
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.cut();
    await closed;
    await Promise.all([...this.#lines].map((line) => line.closed));
  }

  #accept(near: Socket, target: number): void {
    this.#accepted++;
    const far = connect({ port: target, host: "127.0.0.1", allowHalfOpen: true });
    const line = new Line(near, far, this.#flows, (stayedMs) => this.#longest = Math.max(this.#longest, stayedMs));
    this.#lines.add(line);
    void line.closed.then(() => this.#lines.delete(line));
    for (const resolve of this.#awaiting.splice(0)) resolve();
    near.on("data", (chunk: Buffer) => {
      if (this.#trigger !== undefined && chunk.includes(this.#trigger)) {
        this.#trigger = undefined;
        line.freeze(DIRECTIONS);
      }
      line.up.take(chunk);
    });
    if (this.#welcome === "frozen") line.freeze(DIRECTIONS);
    if (this.#welcome === "cut") line.cut();
    if (this.#welcome === "reset") line.reset();
  }
}

/** One connection through the proxy. */
class Line {
  readonly up: Pipe;
  readonly down: Pipe;
  /** Resolves when both sockets are closed. */
  readonly closed: Promise<unknown>;
  #near: Socket;
  #far: Socket;

  constructor(near: Socket, far: Socket, flows: Readonly<Record<Direction, Flow>>, stayed: (ms: number) => void) {
    this.#near = near;
    this.#far = far;
    const cut = () => this.cut();
    this.up = new Pipe(near, far, { flow: flows.up, stayed, cut });
    this.down = new Pipe(far, near, { flow: flows.down, stayed, cut });
    this.closed = Promise.all(
      [near, far].map((socket) => new Promise<void>((resolve) => socket.once("close", () => resolve()))),
    );
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      socket.on("error", () => {});
    }
    far.on("data", (chunk: Buffer) => this.down.take(chunk));
    // A client that ends its side has gone, and the server is to know it, be the rest frozen or not.
    near.on("end", () => this.up.state === "frozen" ? this.cut() : this.up.end());
    near.on("close", () => this.cut());
    far.on("end", () => this.down.end());
    far.on("close", () => {
      if (this.down.state !== "frozen") this.down.end();
    });
  }

  freeze(directions: readonly Direction[]): void {
    // It may have gone before, and wait in a stall for its end to pass.
    if (directions.includes("up") && this.up.isEnding) return this.cut();
    for (const direction of directions) this[direction].freeze();
  }

  cut(): void {
    for (const pipe of [this.up, this.down]) pipe.stop();
    this.#near.destroy();
    this.#far.destroy();
  }

  reset(): void {
    for (const pipe of [this.up, this.down]) pipe.stop();
    this.#near.resetAndDestroy();
    this.#far.resetAndDestroy();
  }
}

interface PipeOptions {
  readonly flow: Flow;
  readonly stayed: (ms: number) => void;
  readonly cut: () => void;
}

/** How many bytes wait before it reads no more, as a network with its queues full. */
const MOST_BYTES = 8 * 1024 * 1024;

/** One direction of one connection. */
class Pipe {
  state: "flowing" | "stalled" | "frozen" | "stopped" = "flowing";
  #from: Socket;
  #to: Socket;
  #options: PipeOptions;
  #flow: Flow;
  #queue: { bytes: Buffer; readonly at: number }[] = [];
  #waiting = 0;
  #end: "open" | "due" | "sent" = "open";
  #pumping: "idle" | "busy" = "idle";
  /** How many bytes may still pass. */
  #left = Infinity;
  #wake: () => void = () => {};

  constructor(from: Socket, to: Socket, options: PipeOptions) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
    this.#flow = options.flow;
  }

  /** Does the end that has come wait to be passed on? */
  get isEnding(): boolean {
    return this.#end === "due";
  }

  take(bytes: Buffer): void {
    if (this.state === "frozen" || this.state === "stopped") return;
    this.#queue.push({ bytes, at: performance.now() });
    this.#waiting += bytes.length;
    if (this.#waiting > MOST_BYTES) this.#from.pause();
    void this.#pump();
  }

  end(): void {
    if (this.state === "frozen" || this.#end !== "open") return;
    this.#end = "due";
    void this.#pump();
  }

  freeze(): void {
    if (this.state === "stopped") return;
    this.#set("frozen");
    this.#queue.length = 0;
    this.#waiting = 0;
    this.#from.resume();
  }

  stall(): void {
    if (this.state === "flowing") this.#set("stalled");
  }

  go(): void {
    if (this.state === "stalled") this.#set("flowing");
    void this.#pump();
  }

  shape(flow: Flow): void {
    this.#flow = flow;
    this.#wake();
  }

  limit(bytes: number): void {
    this.#left = bytes;
  }

  stop(): void {
    this.#set("stopped");
    this.#queue.length = 0;
  }

  #set(state: Pipe["state"]): void {
    this.state = state;
    this.#wake();
  }

  async #pump(): Promise<void> {
    if (this.#pumping === "busy") return;
    this.#pumping = "busy";
    while (this.state === "flowing" && this.#end !== "sent") {
      const first = this.#queue[0];
      if (first === undefined) {
        if (this.#end === "due") this.#finish();
        break;
      }
      const { delayMs = 0, piece = Infinity, pauseMs = 0 } = this.#flow;
      const early = first.at + delayMs - performance.now();
      if (early > 0) {
        await this.#sleep(early);
        continue;
      }
      const more = this.#pass(first, first.bytes.subarray(0, Math.min(first.bytes.length, piece, this.#left)));
      if (this.#left <= 0) {
        this.#end = "sent";
        // What is on its way arrives first.
        this.#to.end(this.#options.cut);
        break;
      }
      if (more === "later") await this.#drained();
      else if (pauseMs > 0 && piece < Infinity) await this.#sleep(pauseMs);
      else if (piece < Infinity) await new Promise<void>((resolve) => void setImmediate(resolve));
    }
    this.#pumping = "idle";
  }

  /** Writes the beginning of what waits, and tells when there may be more. */
  #pass(first: { bytes: Buffer; readonly at: number }, bytes: Buffer): "now" | "later" {
    this.#options.stayed(performance.now() - first.at);
    first.bytes = first.bytes.subarray(bytes.length);
    if (first.bytes.length === 0) this.#queue.shift();
    this.#waiting -= bytes.length;
    this.#left -= bytes.length;
    if (this.#waiting <= MOST_BYTES && this.#from.isPaused()) this.#from.resume();
    return bytes.length === 0 || this.#to.write(bytes) ? "now" : "later";
  }

  /** Until the other side takes more, or something has changed: who does not read is not read for. */
  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#to.off("drain", done);
        this.#to.off("close", done);
        resolve();
      };
      this.#to.once("drain", done);
      this.#to.once("close", done);
      this.#wake = done;
    });
  }

  #finish(): void {
    this.#end = "sent";
    this.#to.end();
  }

  /** Until so much time has passed, or something has changed. */
  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
