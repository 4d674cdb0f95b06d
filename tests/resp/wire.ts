/** What the tests of this folder share: bytes written as text, readers fed in pieces, and replies of every shape. */
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.ts";
import { Reader, type ReaderLimits } from "../../src/resp/reader.ts";
import type { Reply } from "../../src/resp/reply.ts";

/** The bytes of a text, one for each character up to U+00FF. */
export function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** The text of bytes, one character for each. */
export function latin1(wire: Uint8Array): string {
  return Array.from(wire, (byte) => String.fromCharCode(byte)).join("");
}

export interface Outcome {
  readonly replies: Reply[];
  readonly error: ProtocolError | undefined;
  readonly offset: number;
}

/** Feeds the chunks one by one, and reads all there is after each; an error of any other class escapes. */
export function readChunks(chunks: Iterable<Uint8Array>, limits?: Partial<ReaderLimits>): Outcome {
  const reader = new Reader(limits);
  const replies: Reply[] = [];
  try {
    for (const chunk of chunks) {
      reader.feed(chunk);
      for (let reply = reader.next(); reply !== undefined; reply = reader.next()) replies.push(reply);
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { replies, error, offset: reader.offset };
  }
  return { replies, error: undefined, offset: reader.offset };
}

/** Cuts the bytes before each of these positions. */
export function cut(wire: Uint8Array, positions: readonly number[]): Uint8Array[] {
  const edges = [0, ...positions.map((at) => Math.min(at, wire.length)).sort((a, b) => a - b), wire.length];
  return edges.slice(1).map((end, index) => wire.slice(edges[index], end));
}

export function singleBytes(wire: Uint8Array): Uint8Array[] {
  return Array.from(wire, (byte) => Uint8Array.of(byte));
}

const text = fc.string({ unit: "binary" });
const line = text.map((value) => value.replace(/[\r\n]/g, "."));
const value = fc.uint8Array({ maxLength: 80 });
const safe = BigInt(Number.MAX_SAFE_INTEGER);

const scalar: fc.Arbitrary<Reply> = fc.oneof(
  line.map((value) => ({ type: "simple-string" as const, value })),
  line.map((value) => ({ type: "simple-error" as const, value })),
  text.map((value) => ({ type: "bulk-error" as const, value })),
  fc.maxSafeInteger().map((value) => ({ type: "integer" as const, value })),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).filter((value) => value > safe || value < -safe)
    .map((value) => ({ type: "integer" as const, value })),
  value.map((value) => ({ type: "bulk-string" as const, value })),
  fc.constant({ type: "null" as const, value: null }),
  fc.double().map((value) => ({ type: "double" as const, value })),
  fc.boolean().map((value) => ({ type: "boolean" as const, value })),
  fc.bigInt().map((value) => ({ type: "big-number" as const, value })),
  fc.tuple(fc.constantFrom("txt", "mkd", "\xe9\x00\xff"), value)
    .map(([format, value]) => ({ type: "verbatim-string" as const, format, value })),
);

function attributed(reply: fc.Arbitrary<Reply>, element: fc.Arbitrary<Reply>): fc.Arbitrary<Reply> {
  const attributes = fc.array(fc.tuple(element, element), { minLength: 1, maxLength: 2 });
  return fc.tuple(reply, fc.option(attributes, { freq: 4 }))
    .map(([reply, attributes]) => attributes === null ? reply : { ...reply, attributes });
}

function nested(element: fc.Arbitrary<Reply>): fc.Arbitrary<Reply> {
  const elements = fc.array(element, { maxLength: 3 });
  const reply: fc.Arbitrary<Reply> = fc.oneof(
    scalar,
    elements.map((value) => ({ type: "array" as const, value })),
    elements.map((value) => ({ type: "set" as const, value })),
    fc.array(fc.tuple(element, element), { maxLength: 2 }).map((value) => ({ type: "map" as const, value })),
  );
  return attributed(reply, element);
}

const tree = nested(nested(nested(scalar)));
const pushed = fc.array(nested(scalar), { maxLength: 4 }).map((value) => ({ type: "push" as const, value }));

/** Any reply that a server may send at the top level: of any type, nested, with and without attributes, pushes too. */
export const anyReply: fc.Arbitrary<Reply> = fc.oneof(
  { weight: 4, arbitrary: tree },
  { weight: 1, arbitrary: attributed(pushed, scalar) },
);
