/** A TCP proxy that can go silent as balancers and firewalls do: no FIN, no RST, and TCP still acknowledges. */

import type { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** One connection through the proxy. */
interface Line {
  readonly near: Socket;
  readonly far: Socket;
  state: "flowing" | "frozen";
}

export class FreezingProxy implements AsyncDisposable {
  readonly port: number;
  #server: Server;
  #lines = new Set<Line>();
  #onConnect: Line["state"] = "flowing";
  /** A client that sends this is frozen, its bytes included. */
  #trigger: string | undefined;
  #accepted = 0;
  #awaiting: (() => void)[] = [];

  private constructor(server: Server, port: number, target: number) {
    this.#server = server;
    this.port = port;
    server.on("connection", (near) => this.#accept(near, target));
  }

  /** A proxy on a port of its own, in front of `target`. */
  static async open(target: number): Promise<FreezingProxy> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    return new FreezingProxy(server, typeof address === "object" && address !== null ? address.port : 0, target);
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

  /** Freezes what is there for good, or what comes, or a client that sends `trigger`, once. */
  freeze(what: "present" | "future" | { readonly trigger: string }): void {
    if (what === "present") { for (const line of this.#lines) line.state = "frozen"; }
    else if (what === "future") this.#onConnect = "frozen";
    else this.#trigger = what.trigger;
  }

  /** Lets flow what comes from now on. What is frozen stays so: its bytes are lost. */
  thaw(): void {
    this.#onConnect = "flowing";
    this.#trigger = undefined;
  }

  /** Closes every connection. */
  cut(): void {
    for (const { near, far } of this.#lines) {
      near.destroy();
      far.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const lines = [...this.#lines].flatMap(({ near, far }) => [near, far]).filter((socket) => !socket.closed);
    const closed = lines.map((socket) => once(socket, "close"));
    this.cut();
    await Promise.all(closed);
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(near: Socket, target: number): void {
    this.#accepted++;
    const far = connect(target, "127.0.0.1");
    const line: Line = { near, far, state: this.#onConnect };
    this.#lines.add(line);
    for (const resolve of this.#awaiting.splice(0)) resolve();
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      socket.on("error", () => {});
    }
    near.on("data", (chunk: Buffer) => {
      if (this.#trigger !== undefined && chunk.includes(this.#trigger)) {
        this.#trigger = undefined;
        line.state = "frozen";
      }
      if (line.state === "flowing") far.write(chunk);
    });
    far.on("data", (chunk: Buffer) => {
      if (line.state === "flowing") near.write(chunk);
    });
    near.on("close", () => {
      this.#lines.delete(line);
      far.destroy();
    });
    far.on("close", () => {
      if (line.state === "flowing") near.destroy();
    });
  }
}
