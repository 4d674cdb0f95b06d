/**
 * Reply to pub/sub event. A RESP3 push and a RESP2 array with the same elements become the same event.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";
import type { Kind } from "../message.ts";
import type { Bulks } from "../resp/bulks.ts";
import type { Reply } from "../resp/reply.ts";
import { KIND_NAMES, KINDS } from "./kind.ts";
import { decodeName } from "../name.ts";

/** A message as it stood on the wire, its payload not decoded yet. */
export interface WireMessage {
  readonly type: "message";
  readonly kind: Kind;
  readonly channel: string;
  readonly pattern: string | undefined;
  readonly payload: Uint8Array;
}

/** The server acknowledged a SUBSCRIBE or UNSUBSCRIBE of one name, or took a subscription away. */
export interface Acknowledgement {
  readonly type: "subscribed" | "unsubscribed";
  readonly kind: Kind;
  /** Undefined where the server sent a null: there was nothing to unsubscribe from. */
  readonly name: string | undefined;
}

/** What a push, or an array in the subscriber mode of RESP2, can mean. */
export type PubSubEvent =
  | WireMessage
  | Acknowledgement
  | { readonly type: "pong" }
  | { readonly type: "unknown"; readonly label: string };

type Label =
  & { readonly bytes: Uint8Array }
  & (
    | { readonly type: "message"; readonly kind: Kind; readonly arity: 3 | 4 }
    | { readonly type: "subscribed" | "unsubscribed"; readonly kind: Kind; readonly arity: 3 }
    | { readonly type: "pong"; readonly arity: 2 }
  );

const encoder = new TextEncoder();
/** Messages first: they are looked up most. */
const LABELS: readonly Label[] = [
  ...KIND_NAMES.map((kind): Label => {
    const { message, messageArity } = KINDS[kind];
    return { bytes: encoder.encode(message), type: "message", kind, arity: messageArity };
  }),
  ...KIND_NAMES.flatMap((kind): Label[] => {
    const { subscribed, unsubscribed } = KINDS[kind];
    return [
      { bytes: encoder.encode(subscribed), type: "subscribed", kind, arity: 3 },
      { bytes: encoder.encode(unsubscribed), type: "unsubscribed", kind, arity: 3 },
    ];
  }),
  { bytes: encoder.encode("pong"), type: "pong", arity: 2 },
];

/** Reads pushes of one connection. Remembers labels and names, since most messages repeat them. */
export class PushReader {
  #label: Label | undefined;
  #channels = new NameTable();
  #patterns = new NameTable();

  /**
   * The event that the elements of a push mean. A label that nobody knows is an event of its own, never an error:
   * servers add pushes.
   *
   * @throws {ProtocolError} when a known label comes with elements of the wrong number or type
   */
  read(items: readonly Reply[]): PubSubEvent {
    const label = bytesOf(items[0]);
    const found = label === undefined ? undefined : this.#find(label, 0, label.length);
    if (found === undefined) return { type: "unknown", label: label === undefined ? "" : decodeName(label) };
    if (items.length !== found.arity) throw malformed(found);
    switch (found.type) {
      case "message": {
        const pattern = found.arity === 4 ? bytesOf(items[1]) : undefined;
        const channel = bytesOf(items[found.arity - 2]);
        const payload = bytesOf(items[found.arity - 1]);
        if (channel === undefined || payload === undefined || (found.arity === 4 && pattern === undefined)) {
          throw malformed(found);
        }
        return {
          type: "message",
          kind: found.kind,
          channel: this.#channels.decode(channel, 0, channel.length),
          pattern: pattern === undefined ? undefined : this.#patterns.decode(pattern, 0, pattern.length),
          payload,
        };
      }
      case "subscribed":
      case "unsubscribed": {
        const name = items[1]!;
        const bytes = bytesOf(name);
        if ((bytes === undefined && name.type !== "null") || items[2]!.type !== "integer") throw malformed(found);
        return { type: found.type, kind: found.kind, name: bytes === undefined ? undefined : decodeName(bytes) };
      }
      case "pong":
        return { type: "pong" };
    }
  }

  /**
   * The message that a whole aggregate of bulk strings means; undefined where it is none, or malformed, for
   * {@linkcode read} to say so. Its payload is a view into `bulks.bytes`, which is written to again.
   */
  message({ bytes, bounds, count }: Bulks): WireMessage | undefined {
    const label = this.#find(bytes, bounds[0]!, bounds[1]!);
    if (label?.type !== "message" || label.arity !== count) return undefined;
    const pattern = count === 4 ? this.#patterns.decode(bytes, bounds[2]!, bounds[3]!) : undefined;
    const at = 2 * (count - 2);
    return {
      type: "message",
      kind: label.kind,
      channel: this.#channels.decode(bytes, bounds[at]!, bounds[at + 1]!),
      pattern,
      payload: bytes.subarray(bounds[at + 2]!, bounds[at + 3]!),
    };
  }

  #find(bytes: Uint8Array, from: number, to: number): Label | undefined {
    if (this.#label === undefined || !isEqual(this.#label.bytes, bytes, from, to)) {
      this.#label = LABELS.find((row) => isEqual(row.bytes, bytes, from, to));
    }
    return this.#label;
  }
}

/** How many slots a table of names may have, and how many it has at first: powers of two. */
const MOST_SLOTS = 4096;
const FIRST_SLOTS = 16;
/** Names longer than this, in bytes, have no slot, so that a table holds some 300 KiB at most. */
const LONGEST_NAME = 64;

/**
 * Decodes names, and gives the same string again for the same bytes: in a row, and for short ASCII names also later. To
 * find a string takes a fraction of the time that decoding takes, and whoever looks it up in a map need not hash it anew.
 *
 * Each name has one slot, and the last one in it stays. Two that fight for a slot make the table twice as large, so that
 * few names cost little memory.
 */
class NameTable {
  #last = "";
  #slots: (string | undefined)[] = new Array(FIRST_SLOTS);

  /** The name that stands in `bytes[from]` to `bytes[to - 1]`. */
  decode(bytes: Uint8Array, from: number, to: number): string {
    if (!isAsciiOf(this.#last, bytes, from, to)) {
      this.#last = to - from > LONGEST_NAME ? decodeName(bytes.subarray(from, to)) : this.#find(bytes, from, to);
    }
    return this.#last;
  }

  #find(bytes: Uint8Array, from: number, to: number): string {
    const found = this.#slots[slotOf(bytes, from, to, this.#slots.length)];
    if (found !== undefined && isAsciiOf(found, bytes, from, to)) return found;
    const name = decodeName(bytes.subarray(from, to));
    if (!isAsciiOf(name, bytes, from, to)) return name;
    if (found !== undefined && this.#slots.length < MOST_SLOTS) this.#slots = new Array(2 * this.#slots.length);
    return this.#slots[slotOf(bytes, from, to, this.#slots.length)] = name;
  }
}

function slotOf(bytes: Uint8Array, from: number, to: number, slots: number): number {
  let hash = 0;
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return (hash ^ hash >>> 15) & (slots - 1);
}

/** Does `name`, as it was decoded, stand for the bytes one by one? Only then can the two be compared without decoding. */
function isAsciiOf(name: string, bytes: Uint8Array, from: number, to: number): boolean {
  if (name.length !== to - from) return false;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code !== bytes[from + i] || code > 0x7f) return false;
  }
  return true;
}

function bytesOf(reply: Reply | undefined): Uint8Array | undefined {
  return reply?.type === "bulk-string" || reply?.type === "verbatim-string"
    ? reply.value
    : reply?.type === "simple-string"
    ? encoder.encode(reply.value)
    : undefined;
}

function isEqual(expected: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (expected.length !== to - from) return false;
  for (let i = 0; i < expected.length; i++) if (bytes[from + i] !== expected[i]) return false;
  return true;
}

function malformed(label: Label): ProtocolError {
  return new ProtocolError(`The server sent a malformed push: ${new TextDecoder().decode(label.bytes)}`);
}
