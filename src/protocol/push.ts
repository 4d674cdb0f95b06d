/**
 * What can happen on a connection, and reply to pub/sub event. A RESP3 push and a RESP2 array with the same elements
 * become the same event.
 *
 * @module
 */

import { ProtocolError, type ReplyError } from "../errors.ts";
import type { Kind } from "../message.ts";
import type { Reply } from "../resp/reply.ts";
import { KIND_NAMES, KINDS } from "./kind.ts";
import { decodeName } from "../name.ts";
import type { Run } from "../run/run.ts";
import type { Place } from "./subscriptions.ts";

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
  | Moving
  | { readonly type: "unknown"; readonly label: string };

/**
 * The server is about to move, and this connection to end (Redis Enterprise and Redis Cloud).
 * Source: https://redis.io/docs/latest/develop/clients/sch/
 */
export interface Moving {
  readonly type: "moving";
  /** Grows from move to move. */
  readonly sequence: number;
  /** In how many seconds the connection ends. */
  readonly seconds: number;
  /** Where to go; undefined: to the same endpoint, a while later. */
  readonly host: string | undefined;
  /** The port beside it; 0 without. */
  readonly port: number;
}

type Named = { readonly kind: Kind; readonly name: string };

/** Names that were acknowledged in a row. */
export interface Settled {
  readonly type: "settled";
  readonly did: "subscribed" | "unsubscribed";
  readonly kind: Kind;
  readonly places: readonly Place[];
  readonly from: number;
  readonly to: number;
}

/** What happened on a connection: what its session tells. */
export type SessionEvent =
  /** Messages came: whoever takes one counts it in `taken`. What is not taken is told again by the next call. */
  | Run
  | OtherEvent;

/** The same, without messages. */
export type OtherEvent =
  | { readonly type: "connected"; readonly protocol: 2 | 3 }
  /** `isAtRest`: nothing more is due for this name. */
  | Named & { readonly type: "subscribed" | "unsubscribed"; readonly isAtRest: boolean }
  /** Likewise of names in a row, from the one at `from` to the one before `to`; all of them are at rest. */
  | Settled
  | Named & { readonly type: "revoked" }
  | Named & { readonly type: "denied"; readonly error: ReplyError }
  /** Every name that was wanted when the connection opened is acknowledged or denied; or all is at rest. */
  | { readonly type: "synced" }
  | { readonly type: "reply"; readonly ticket: number; readonly reply: Reply }
  | Moving
  | { readonly type: "unknown-push"; readonly label: string };

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

/** Reads pushes of one connection. Remembers the label, since most pushes repeat it. */
export class PushReader {
  #label: Label | undefined;

  /**
   * The event that the elements of a push mean. A label that nobody knows is an event of its own, never an error:
   * servers add pushes.
   *
   * @throws {ProtocolError} when a known label comes with elements of the wrong number or type
   */
  read(items: readonly Reply[]): PubSubEvent {
    const label = bytesOf(items[0]);
    const found = label === undefined ? undefined : this.#find(label);
    if (found === undefined) {
      const name = label === undefined ? "" : decodeName(label);
      return (name === "MOVING" ? movingOf(items) : undefined) ?? { type: "unknown", label: name };
    }
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
          channel: decodeName(channel),
          pattern: pattern === undefined ? undefined : decodeName(pattern),
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

  #find(bytes: Uint8Array): Label | undefined {
    if (this.#label === undefined || !isEqual(this.#label.bytes, bytes)) {
      this.#label = LABELS.find((row) => isEqual(row.bytes, bytes));
    }
    return this.#label;
  }
}

/** What a push `MOVING sequence seconds host:port` means; undefined where it has another form: servers learn. */
function movingOf([, sequence, seconds, target]: readonly Reply[]): Moving | undefined {
  if (sequence?.type !== "integer" || seconds?.type !== "integer" || target === undefined) return undefined;
  const bytes = bytesOf(target);
  const [, host, port] = bytes === undefined ? [] : /^\[?(.+?)\]?:(\d{1,5})$/.exec(decodeName(bytes)) ?? [];
  if (host === undefined && target.type !== "null") return undefined;
  return {
    type: "moving",
    sequence: Number(sequence.value),
    seconds: Number(seconds.value),
    host,
    port: Number(port ?? 0),
  };
}

function bytesOf(reply: Reply | undefined): Uint8Array | undefined {
  return reply?.type === "bulk-string" || reply?.type === "verbatim-string"
    ? reply.value
    : reply?.type === "simple-string"
    ? encoder.encode(reply.value)
    : undefined;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function malformed(label: Label): ProtocolError {
  return new ProtocolError(`The server sent a malformed push: ${new TextDecoder().decode(label.bytes)}`);
}
