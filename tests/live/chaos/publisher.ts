/** Publishes numbered messages straight to the server, and remembers when. */

import { RawConnection } from "../../support/raw_connection.ts";
import { moment, type Published } from "./evidence.ts";

type Record = { -readonly [key in keyof Published]: Published[key] };

/** What can be published to. */
export type Target = Pick<Published, "verb" | "channel">;

export class Publisher implements AsyncDisposable {
  readonly published: Published[] = [];
  #port: number;
  #raw: RawConnection | "opening" | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** Publishes one message to each; nothing while the server cannot be reached. Never rejects. */
  async publish(targets: readonly Target[]): Promise<void> {
    if (targets.length === 0) return;
    if (this.#raw === undefined) {
      this.#raw = "opening";
      this.#raw = await RawConnection.open(this.#port).catch(() => undefined);
    }
    const raw = this.#raw;
    if (raw === undefined || raw === "opening") return;
    const sent = moment();
    const records = targets.map(({ verb, channel }, index): Record => {
      return { number: this.published.length + index, verb, channel, sent, done: Infinity, certain: false };
    });
    this.published.push(...records);
    const answered = await raw.askAll(records.map(({ verb, channel, number }) => [verb, channel, payloadOf(number)]))
      .then(() => true, () => false);
    for (const record of records) {
      record.done = moment();
      record.certain = answered;
    }
    // Those on their way fail as well, and the first of them lets go of it.
    if (!answered && this.#raw === raw) {
      this.#raw = undefined;
      await raw[Symbol.asyncDispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#raw instanceof RawConnection) await this.#raw[Symbol.asyncDispose]();
  }
}

/** The payload that has this number: sizes differ, and some look like the wire. */
export function payloadOf(number: number): string {
  const size = number % 101 === 0 ? 20_000 : number % 7 === 0 ? 600 : number % 13;
  return `${number} ${(number % 3 === 0 ? "🎧é" : "\r\n$5\r\n+OK\r\n").repeat(size / 3)}`;
}

/** The number that a payload has; undefined where a single character of it is wrong. */
export function numberOf(payload: string): number | undefined {
  const number = parseInt(payload);
  return payload === payloadOf(number) ? number : undefined;
}
