/** The fast path and the general one: the same messages, other replies and errors, whatever comes and however it comes. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Kind } from "../../src/message.ts";
import { encodeName } from "../../src/name.ts";
import { KIND_NAMES, KINDS } from "../../src/protocol/kind.ts";
import { Session } from "../../src/protocol/session.ts";
import { Desired } from "../../src/protocol/subscriptions.ts";
import type { ReaderLimits } from "../../src/resp/reader.ts";
import type { Reply } from "../../src/resp/reply.ts";
import { concat, encodeReply } from "../../src/resp/writer.ts";
import { LONGEST_SPAN_BYTES, SPAN_BYTES } from "../../src/run/run.ts";
import { eventLines } from "../protocol/session_bench.ts";
import { anyReply } from "../resp/wire.ts";
import { test } from "../support/test.ts";
import { array, HELLO_MAP, item, OK, push } from "../support/wire.ts";
import { assertSame, everywhere, feed, type Feeding, FEEDINGS, LONGEST_IN_PLACE, type Pieces } from "./side.ts";

const encoder = new TextEncoder();

/** Bytes of which lines, lengths and whole messages are made. */
const part = fc.constantFrom(
  ..."a b 1 0 $ * > \r \n \0 é \r\n \r\n$ \r\n$1\r\n >3\r\n $7\r\nmessage\r\n".split(" "),
  ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n",
).map((text) => encoder.encode(text));
const crafted = fc.array(part, { maxLength: 5 }).map(concat).map((bytes) => bytes.slice());
const name = fc.oneof({ weight: 3, arbitrary: crafted }, fc.uint8Array({ maxLength: 20 }));

function around(size: number): fc.Arbitrary<number> {
  return fc.integer({ min: size - 3, max: size + 3 });
}

/** Sizes at which something changes, and those between. */
const size = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: 20 }) },
  { weight: 1, arbitrary: around(SPAN_BYTES) },
  { weight: 1, arbitrary: fc.nat({ max: 1_000 }) },
);
const largeSize = fc.oneof(around(LONGEST_SPAN_BYTES), around(LONGEST_IN_PLACE), fc.nat({ max: 300_000 }));

function filled(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 7 + size) & 0xff);
}

type Names = readonly [pattern: Uint8Array, channel: Uint8Array];

function messageOf(kind: Kind, [pattern, channel]: Names, payload: Uint8Array): Reply {
  return push(KINDS[kind].message, ...kind === "pattern" ? [pattern] : [], channel, payload);
}

const kind = fc.constantFrom(...KIND_NAMES);

/** Messages, many of them on few names, as they are; and what is nearly one. */
function messages(payload: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Reply[]> {
  const pool = fc.array(fc.tuple(name, name), { minLength: 1, maxLength: 4 });
  return pool.chain((pool) => fc.array(fc.tuple(kind, fc.constantFrom(...pool), payload), { maxLength: 10 }))
    .map((all) => all.map(([kind, names, payload]) => messageOf(kind, names, payload)));
}

const nearly = fc.constantFrom<Reply>(
  push("subscribe", "a", 1),
  push("unsubscribe", null, 0),
  push("pong", ""),
  push("message"),
  push("message", "a"),
  push("message", "a", "b", "c"),
  push("message", "a", 7),
  push("message", null, "b"),
  push("pmessage", "a", "b"),
  push("messag", "a", "b"),
  push("invalidate", null),
  { type: "push", value: [{ type: "simple-string", value: "message" }, item("a"), item("b")] },
  { type: "push", value: [item("message"), { type: "verbatim-string", format: "txt", value: filled(3) }, item("b")] },
  { ...messageOf("channel", [filled(0), filled(2)], filled(3)), attributes: [[item("a"), item("b")]] },
  array("message", "a", "b"),
  OK,
);

const protocols = fc.constantFrom(2 as const, 3 as const);

/** Replies of all sorts, as they are in that protocol or in the other one. */
function wire(payload: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const others = fc.oneof(nearly.map((reply) => [reply]), anyReply.map((reply) => [reply]));
  const some = fc.tuple(
    fc.oneof({ weight: 5, arbitrary: messages(payload) }, { weight: 1, arbitrary: others }),
    fc.oneof({ weight: 9, arbitrary: fc.constant("as asked" as const) }, fc.constant("as the other" as const)),
  );
  return fc.tuple(protocols, fc.array(some, { maxLength: 5 })).map(([protocol, all]) => {
    const other = protocol === 2 ? 3 : 2;
    return concat(all.flatMap(([replies, how]) => {
      return replies.map((reply) => encodeReply(reply, how === "as asked" ? protocol : other));
    }));
  });
}

const small = fc.oneof({ weight: 3, arbitrary: size.map(filled) }, { weight: 1, arbitrary: crafted });
const feedings: fc.Arbitrary<Feeding[]> = fc.oneof(
  fc.constant<Feeding[]>(["ahead"]),
  fc.constant<Feeding[]>(["stale"]),
  fc.array(fc.constantFrom(...FEEDINGS), { minLength: 1, maxLength: 6 }),
);
const cuts = fc.array(fc.nat({ max: 1_000_000 }), { maxLength: 12 });
const pieces: fc.Arbitrary<Pieces> = fc.record({ cuts, feedings });

/** Spreads positions over the wire. */
function over(wire: Uint8Array, { cuts, feedings }: Pieces): Pieces {
  return { cuts: cuts.map((at) => at % (wire.length + 1)), feedings };
}

test("any messages and replies are the same, at any boundaries", () => {
  let [found, all] = [0, 0];
  fc.assert(
    fc.property(wire(small), pieces, protocols, (wire, pieces, protocol) => {
      const side = assertSame(wire, over(wire, pieces), { protocol });
      found += side.scanned;
      all++;
    }),
    { numRuns: 1_500 },
  );
  assert(found > all, `Only ${found} messages went the fast way`);
});

test("any messages and replies are the same byte by byte", () => {
  fc.assert(
    fc.property(
      wire(fc.oneof(fc.nat({ max: 20 }).map(filled), crafted)),
      feedings,
      protocols,
      (wire, feedings, protocol) => {
        assertSame(wire, { cuts: everywhere(wire), feedings }, { protocol });
      },
    ),
    { numRuns: 200 },
  );
});

test("large payloads are the same, at any boundaries", () => {
  const payload = fc.oneof({ weight: 2, arbitrary: largeSize }, { weight: 1, arbitrary: size }).map(filled);
  fc.assert(
    fc.property(wire(payload), pieces, protocols, (wire, pieces, protocol) => {
      assertSame(wire, over(wire, pieces), { protocol });
    }),
    { numRuns: 60 },
  );
});

interface Damage {
  /** A byte becomes another one, is taken out, or gets one before it. */
  readonly changes: readonly (readonly [at: number, byte: number, how: "changed" | "removed" | "added"])[];
  /** How much of the end is missing. */
  readonly cutOff: number;
}

const damage: fc.Arbitrary<Damage> = fc.record({
  changes: fc.array(
    fc.tuple(
      fc.nat({ max: 1_000_000 }),
      fc.constantFrom(...[..."0123456789$*>:\r\n-+?xm\0\xff"].map((character) => character.charCodeAt(0))),
      fc.constantFrom("changed" as const, "changed" as const, "changed" as const, "removed" as const, "added" as const),
    ),
    { minLength: 1, maxLength: 3 },
  ),
  cutOff: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: 60 }) }),
});

function damaged(wire: Uint8Array, { changes, cutOff }: Damage): Uint8Array {
  const bytes = [...wire];
  for (const [position, byte, how] of changes) {
    const at = position % (bytes.length + 1);
    if (how === "changed" && at < bytes.length) bytes[at] = byte;
    else bytes.splice(at, how === "removed" ? 1 : 0, ...how === "removed" ? [] : [byte]);
  }
  return Uint8Array.from(bytes.slice(0, Math.max(0, bytes.length - cutOff)));
}

test("damaged bytes give the same messages before them, then the same error at the same offset", () => {
  let errors = 0;
  const frames = wire(fc.oneof(fc.nat({ max: 12 }).map(filled), crafted));
  fc.assert(
    fc.property(frames, damage, pieces, protocols, (wire, damage, pieces, protocol) => {
      const bad = damaged(wire, damage);
      const side = assertSame(bad, over(bad, pieces), { protocol });
      if (side.error !== undefined) errors++;
    }),
    { numRuns: 3_000 },
  );
  assert(errors > 500, `Only ${errors} had an error`);
});

test("within any limits both are the same, errors included", () => {
  const short = fc.oneof(fc.nat({ max: 9 }).map(filled), small);
  const limits: fc.Arbitrary<Partial<ReaderLimits>> = fc.record({
    bulkBytes: fc.oneof(fc.integer({ min: 5, max: 9 }), fc.nat({ max: 24 }), fc.nat({ max: 2_500 })),
    elements: fc.constantFrom(0, 2, 3, 4, 5, 100, 100),
    depth: fc.constantFrom(0, 1, 2, 100),
    lineBytes: fc.constantFrom(0, 1, 2, 4, 14, 15, 16, 17, 100, 100),
  }, { requiredKeys: [] });
  fc.assert(
    fc.property(wire(short), limits, pieces, protocols, (wire, limits, pieces, protocol) => {
      assertSame(wire, over(wire, pieces), { protocol, limits });
    }),
    { numRuns: 1_500 },
  );
});

/** A session behind its handshake, to which two names are confirmed. */
function newSession(protocol: 2 | 3, limits: Partial<ReaderLimits>): Session {
  const desired = new Desired();
  desired.add("channel", "a");
  desired.add("pattern", "*");
  const session = new Session({
    handshake: { protocol, database: 0 },
    keepAlive: false,
    handshakeTimeoutMs: 1,
    commandTimeoutMs: 1,
    limits,
    desired,
  }, 0);
  const opening = [push("subscribe", "a", 1), push("psubscribe", "*", 2)];
  const hello = protocol === 3 ? [HELLO_MAP] : [];
  session.receive(concat([...hello, ...opening].map((reply) => encodeReply(reply, protocol))), 0);
  while (session.next() !== undefined);
  return session;
}

/** What a session tells until it needs more, and what ended it. */
function told(session: Session): string[] {
  const lines: string[] = [];
  try {
    for (let event; (event = session.next()) !== undefined;) lines.push(...eventLines(event));
  } catch (error) {
    lines.push(String(error));
  }
  return lines;
}

for (const protocol of [3, 2] as const) {
  test(`a session of RESP${protocol} tells the same whether its fast path is on or off, also while it quits`, () => {
    const text = fc.string({ unit: "grapheme", maxLength: 12 });
    const named = fc.tuple(kind, text, text, text).map(([kind, pattern, channel, payload]) => {
      return messageOf(kind, [encodeName(pattern), encodeName(channel)], encoder.encode(payload));
    });
    const reply = fc.oneof(
      { weight: 8, arbitrary: named },
      { weight: 1, arbitrary: fc.constantFrom<Reply>(push("sunsubscribe", null, 0), push("invalidate", "x")) },
    );
    fc.assert(
      fc.property(fc.array(reply, { maxLength: 20 }), pieces, fc.nat({ max: 1_000 }), (replies, pieces, quit) => {
        const wire = concat([...replies, push("message", "a")].map((reply) => encodeReply(reply, protocol)));
        // Lines of 15 bytes are enough for all that comes, and too little for the fast path.
        const [fast, slow] = [newSession(protocol, {}), newSession(protocol, { lineBytes: 15 })];
        const { cuts, feedings } = over(wire, pieces);
        const ends = [...cuts, wire.length].sort((a, b) => a - b);
        const quitAt = quit % wire.length;
        let at = 0;
        for (const [i, end] of ends.entries()) {
          while (at < end) {
            if (at >= quitAt) [fast, slow].forEach((session) => session.quit(0));
            const count = feedSession(fast, wire, at, end, feedings[i % feedings.length]!);
            slow.receive(wire.slice(at, at + count), 0);
            at += count;
            assertEquals(told(fast), told(slow), `up to byte ${at}`);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
}

function feedSession(session: Session, wire: Uint8Array, from: number, to: number, feeding: Feeding): number {
  const reader = { room: () => session.room(), feed: (chunk: Uint8Array) => session.receive(chunk, 0) };
  return feed(reader, wire, from, to, feeding);
}
