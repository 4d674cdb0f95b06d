/** A server in memory that answers a subscriber, and then pours ready-made bytes into the room of whoever reads. */
import { setImmediate } from "node:timers";
import type { Dial, Transport } from "../../src/transport/transport.ts";
import { type ModelOptions, ModelPeer } from "./model_server.ts";

export interface FloodOptions extends ModelOptions {
  /** Fills what it is given from its start, and tells how many bytes it wrote; 0: there is nothing for now. */
  readonly fill: (room: Uint8Array) => number;
}

/** A dial to that server; each connection is filled by the same function once it is subscribed to something. */
export function floodDial(options: FloodOptions): Dial {
  return () => Promise.resolve(new FloodTransport(options));
}

class FloodTransport implements Transport {
  #peer: ModelPeer;
  #fill: FloodOptions["fill"];
  #answers: Uint8Array[] = [];
  #state: "open" | "closed" = "open";
  #wake = () => {};

  constructor({ fill, ...model }: FloodOptions) {
    this.#peer = new ModelPeer(model);
    this.#fill = fill;
  }

  async read(room: Uint8Array<ArrayBuffer> = new Uint8Array(4_096)): Promise<Uint8Array | undefined> {
    // As from a socket: the program has a turn between two reads.
    await new Promise((resolve) => void setImmediate(resolve));
    while (this.#state === "open") {
      const answer = this.#answers.shift();
      if (answer !== undefined) return answer;
      const isSubscribed = Object.values(this.#peer.names).some(({ size }) => size > 0);
      const count = isSubscribed ? this.#fill(room) : 0;
      if (count > 0) return room.subarray(0, count);
      if (this.#peer.state === "quit") return undefined;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return undefined;
  }

  write(bytes: Uint8Array): Promise<void> {
    this.#answers.push(...this.#peer.receive(bytes));
    this.#wake();
    return Promise.resolve();
  }

  close(): void {
    this.#state = "closed";
    this.#wake();
  }
}
