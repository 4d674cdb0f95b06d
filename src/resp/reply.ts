/**
 * The values of RESP2 and RESP3, one tag per type.
 * Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
 *
 * @module
 */

/** Attributes (`|`) that came before a reply. */
export interface Attributed {
  /** Out-of-band pairs that the server sent before this value; absent where it sent none. */
  readonly attributes?: readonly (readonly [Reply, Reply])[];
}

/** `+` A short text. */
export interface SimpleStringReply extends Attributed {
  /** The tag. */
  readonly type: "simple-string";
  /** The text, decoded as UTF-8. */
  readonly value: string;
}

/** `-` (simple) or `!` (bulk): the server said no. */
export interface ErrorReply extends Attributed {
  /** The tag. */
  readonly type: "simple-error" | "bulk-error";
  /** The server's whole text, its code first, decoded as UTF-8. */
  readonly value: string;
}

/** `:` A signed 64-bit integer. */
export interface IntegerReply extends Attributed {
  /** The tag. */
  readonly type: "integer";
  /** A number where it is exact, otherwise a bigint. */
  readonly value: number | bigint;
}

/** `$` Any bytes. */
export interface BulkStringReply extends Attributed {
  /** The tag. */
  readonly type: "bulk-string";
  /** The bytes; the reply owns them. */
  readonly value: Uint8Array;
}

/** `_`, `$-1` or `*-1`: nothing. */
export interface NullReply extends Attributed {
  /** The tag. */
  readonly type: "null";
  /** Always null. */
  readonly value: null;
}

/** `,` A double, also infinite or not a number. */
export interface DoubleReply extends Attributed {
  /** The tag. */
  readonly type: "double";
  /** The number. */
  readonly value: number;
}

/** `#` True or false. */
export interface BooleanReply extends Attributed {
  /** The tag. */
  readonly type: "boolean";
  /** The truth. */
  readonly value: boolean;
}

/** `(` An integer of any size. */
export interface BigNumberReply extends Attributed {
  /** The tag. */
  readonly type: "big-number";
  /** The number. */
  readonly value: bigint;
}

/** `=` A text with a three-letter format such as `txt` or `mkd`. */
export interface VerbatimStringReply extends Attributed {
  /** The tag. */
  readonly type: "verbatim-string";
  /** The format, three characters. */
  readonly format: string;
  /** The bytes; the reply owns them. */
  readonly value: Uint8Array;
}

/** `*`, `~` or `>`: an array, a set, or an out-of-band push. */
export interface AggregateReply extends Attributed {
  /** The tag. */
  readonly type: "array" | "set" | "push";
  /** The elements, in wire order. */
  readonly value: readonly Reply[];
}

/** `%` Pairs. */
export interface MapReply extends Attributed {
  /** The tag. */
  readonly type: "map";
  /** The pairs, in wire order; a key may be of any type. */
  readonly value: readonly (readonly [Reply, Reply])[];
}

/** Any value that a server may send. */
export type Reply =
  | SimpleStringReply
  | ErrorReply
  | IntegerReply
  | BulkStringReply
  | NullReply
  | DoubleReply
  | BooleanReply
  | BigNumberReply
  | VerbatimStringReply
  | AggregateReply
  | MapReply;

/** The aggregate of these elements; those of a map lie flat, key and value in turn. */
export function aggregate(type: "array" | "set" | "push" | "map", items: Reply[]): Reply {
  return type === "map" ? { type, value: pairs(items) } : { type, value: items };
}

/** The same reply with attributes, which lie flat, key and value in turn. */
export function attributed(reply: Reply, flat: readonly Reply[]): Reply {
  return { ...reply, attributes: pairs(flat) };
}

function pairs(flat: readonly Reply[]): (readonly [Reply, Reply])[] {
  const result: (readonly [Reply, Reply])[] = [];
  for (let at = 0; at + 1 < flat.length; at += 2) result.push([flat[at]!, flat[at + 1]!]);
  return result;
}
