/** What the tests of this folder share: a connection's end that reads all it is fed, with the fast path or without it. */
import { assertEquals } from "@std/assert";
import { ProtocolError } from "../../src/errors.ts";
import { PushReader } from "../../src/protocol/push.ts";
import { Reader, type ReaderLimits } from "../../src/resp/reader.ts";
import type { Reply } from "../../src/resp/reply.ts";
import { Run } from "../../src/run/run.ts";
import { Scanner } from "../../src/run/scanner.ts";
import { takeAll } from "../support/run.ts";

export interface SideOptions {
  readonly protocol: 2 | 3;
  readonly limits?: Partial<ReaderLimits>;
}

/** Payloads up to this length are waited for in place, as the scanner has it. */
export const LONGEST_IN_PLACE = 128 * 1024;

export class Side {
  readonly reader: Reader;
  readonly scanner: Scanner | undefined;
  /** Messages, other events and replies, in order. */
  readonly seen: unknown[] = [];
  /** How many messages the scanner has found. */
  scanned = 0;
  /** What ended it, if anything. */
  error: readonly unknown[] | undefined;
  #run = new Run();
  #pushes = new PushReader();
  #protocol: 2 | 3;

  /** `reference`: the general reader alone, which is slow and was right before. */
  constructor(path: "fast" | "reference", { protocol, limits }: SideOptions, reader: Reader = new Reader(limits)) {
    this.#protocol = protocol;
    this.reader = reader;
    if (path === "fast") this.scanner = new Scanner({ limits: reader.limits, protocol, subscriptions: () => 0 });
  }

  /** Reads all there is. */
  read(): void {
    try {
      while (this.error === undefined && this.#step());
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.error = [error.message, error.offset, error.excerpt];
    }
  }

  #step(): boolean {
    const found = this.scanner?.scan(this.reader, this.#run);
    if (found === "messages") {
      const messages = takeAll(this.#run);
      if (messages.length === 0) throw new Error("The scanner found no message, and called it several");
      this.scanned += messages.length;
      this.seen.push(...messages.map(printable));
      return true;
    }
    const reply = found === undefined || found === "nothing" ? this.reader.next() : undefined;
    if (reply === undefined) return false;
    this.seen.push(this.#meaning(reply));
    return true;
  }

  #meaning(reply: Reply): unknown {
    const isPush = reply.type === "push" || (reply.type === "array" && this.#protocol === 2);
    return printable(isPush ? this.#pushes.read(reply.value) : reply);
  }
}

/** The same with a checksum in place of long bytes, since to show how two of them differ takes gigabytes. */
function printable(value: unknown): unknown {
  if (value instanceof Uint8Array) {
    if (value.length <= 64) return value;
    return `${value.length} bytes: ${value.reduce((sum, byte) => Math.imul(sum ^ byte, 0x01000193), value.length)}`;
  }
  if (Array.isArray(value)) return value.map(printable);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, printable(part)]));
}

/**
 * How the bytes come. `ahead`: into the room of the reader, and behind them in the same memory stand those that come next,
 * which nobody may believe yet. `stale`: likewise, but there stands whatever was there before. `foreign`: in memory of
 * their own. `view`: in a part of a larger one.
 */
export const FEEDINGS = ["ahead", "stale", "foreign", "view"] as const;
export type Feeding = typeof FEEDINGS[number];

/** Feeds `wire[from]` to `wire[to - 1]`, or as many of them as there is room for; gives how many. */
export function feed(
  reader: Pick<Reader, "room" | "feed">,
  wire: Uint8Array,
  from: number,
  to: number,
  feeding: Feeding,
): number {
  if (feeding === "foreign") reader.feed(wire.slice(from, to));
  else if (feeding === "view") reader.feed(wire.slice().subarray(from, to));
  else {
    const room = reader.room();
    const count = Math.min(room.length, to - from);
    room.set(wire.subarray(from, from + (feeding === "ahead" ? room.length : count)));
    reader.feed(room.subarray(0, count));
    return count;
  }
  return to - from;
}

export interface Pieces {
  /** Where the wire is cut, in any order. */
  readonly cuts: readonly number[];
  /** How the pieces come, in turn. */
  readonly feedings: readonly Feeding[];
}

/** Holds the fast path equal to the reference after every piece; gives its side. */
export function assertSame(wire: Uint8Array, { cuts, feedings }: Pieces, options: SideOptions): Side {
  const fast = new Side("fast", options);
  const reference = new Side("reference", options);
  const ends = [...cuts.map((at) => Math.min(at, wire.length)), wire.length].sort((a, b) => a - b);
  let at = 0;
  for (const [i, end] of ends.entries()) {
    while (at < end) {
      const count = feed(fast.reader, wire, at, end, feedings[i % feedings.length]!);
      reference.reader.feed(wire.slice(at, at + count));
      at += count;
      fast.read();
      reference.read();
      assertEquals(fast.seen.splice(0), reference.seen.splice(0), `up to byte ${at}`);
      assertEquals(fast.error, reference.error, `up to byte ${at}`);
    }
  }
  return fast;
}

/** Every single byte. */
export function everywhere(wire: Uint8Array): number[] {
  return Array.from(wire, (_, at) => at);
}
