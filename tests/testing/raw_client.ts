import { deadline } from "@std/async";
import type { TestBroker } from "../../src/testing/mod.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { command, show } from "../broker/peer.ts";

/** So long an answer may take that comes at all; nothing waits for it to pass. */
const PATIENCE_MS = 5_000;

/** A client that says lines and hears bytes, `↵` for CR LF; it knows no protocol. */
export class RawClient {
  readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** Connects over memory. */
  static async dial(broker: TestBroker): Promise<RawClient> {
    const { signal } = new AbortController();
    return new RawClient(await broker.dial({ host: "any", port: 6379 }, { signal }));
  }

  /** Sends the words of a line. */
  say(...lines: string[]): Promise<void> {
    return this.transport.write(Uint8Array.from(lines.flatMap((line) => [...command(line)])));
  }

  /** The next chunk; `undefined` when the broker has ended the connection. */
  async hear(): Promise<string | undefined> {
    const chunk = await deadline(this.transport.read(), PATIENCE_MS);
    return chunk && show(chunk);
  }

  /** Hears until the answer is as long as `expected`. */
  async hearAll(expected: string): Promise<string> {
    let heard = "";
    while (heard.length < expected.length) {
      const chunk = await this.hear();
      if (chunk === undefined) break;
      heard += chunk;
    }
    return heard;
  }

  /** Says a line and hears the next chunk. */
  async ask(line: string): Promise<string | undefined> {
    await this.say(line);
    return await this.hear();
  }
}

/** Lets everything that can happen in memory happen: all of it is microtasks. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
