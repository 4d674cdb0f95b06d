import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { decodeName } from "../../src/name.ts";
import { KINDS } from "../../src/protocol/kind.ts";
import { type Header, isHeader, LENGTH, NEXT, ROW, type Topic, Topics } from "../../src/run/topics.ts";
import { concat } from "../../src/resp/writer.ts";
import { Dice } from "../support/dice.ts";
import { collect, held } from "../support/garbage.ts";
import { testUnless } from "../support/skip.ts";
import { test } from "../support/test.ts";

/** A pattern, where there is one, and a channel. */
type Names = readonly [channel: Uint8Array] | readonly [pattern: Uint8Array, channel: Uint8Array];

const encoder = new TextEncoder();

function names(...texts: readonly [string] | readonly [string, string]): Names {
  return texts.map((text) => encoder.encode(text)) as unknown as Names;
}

/** The header of a message as servers write it, `before` bytes from the start of the memory. */
function headerOf(names: Names, before = 0): { readonly bytes: Uint8Array; readonly header: Header } {
  const kind = names.length === 2 ? "pattern" : "channel";
  const { message, messageArity } = KINDS[kind];
  const start = encoder.encode(`>${messageArity}\r\n$${message.length}\r\n${message}\r\n`);
  const parts: Uint8Array[] = [new Uint8Array(before).fill(0x24), start];
  const bounds: [number, number][] = [];
  let at = before + start.length;
  for (const name of names) {
    const length = encoder.encode(`$${name.length}\r\n`);
    parts.push(length, name, encoder.encode("\r\n"));
    bounds.push([at + length.length, at + length.length + name.length]);
    at += length.length + name.length + 2;
  }
  const bytes = concat([...parts, encoder.encode("$")]);
  const [channelFrom, channelTo] = bounds.at(-1)!;
  const [patternFrom, patternTo] = bounds.length === 2 ? bounds[0]! : [0, 0];
  const length = bytes.length - before;
  return { bytes, header: { kind, at: before, length, patternFrom, patternTo, channelFrom, channelTo } };
}

/** Finds the topic of names, in the way of the scanner. */
function find(topics: Topics, names: Names, before = 0): Topic {
  const { bytes, header } = headerOf(names, before);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return guess(topics, view, before, bytes.length) ?? topics.find(bytes, view, header);
}

/** The last topic, or what came after it the last time, where the header of one of them stands there. */
function guess(topics: Topics, view: DataView, at: number, end: number): Topic | undefined {
  const { all, rows, words, last } = topics;
  const row = [last, rows[last + NEXT]!].find((row) => isHeader(words, rows, row, view, at, end));
  if (row === undefined) return undefined;
  topics.last = row;
  return all[row / ROW];
}

function newTopics(subscriptions = 0): Topics {
  return new Topics(() => subscriptions);
}

test("the same bytes are the same topic, wherever they stand", () => {
  for (let length = 0; length <= 9; length++) {
    const topics = newTopics();
    const [name] = names("x".repeat(length));
    const topic = find(topics, [name]);
    assertEquals([topic.kind, topic.channel, topic.pattern], ["channel", "x".repeat(length), undefined]);
    for (let before = 0; before < 5; before++) assertStrictEquals(find(topics, [name.slice()], before), topic);
  }
});

test("a topic of a pattern has both names, and is another for each of either", () => {
  const topics = newTopics();
  const topic = find(topics, names("n*", "news"));
  assertEquals([topic.kind, topic.channel, topic.pattern], ["pattern", "news", "n*"]);
  assertStrictEquals(find(topics, names("n*", "news"), 3), topic);
  for (const [pattern, channel] of [["n*", "newt"], ["ne*", "news"], ["m*", "news"], ["news", "n*"]] as const) {
    const other = find(topics, names(pattern, channel));
    assert(other !== topic);
    assertEquals([other.channel, other.pattern], [channel, pattern]);
  }
});

test("a name that is not UTF-8 keeps its bytes", () => {
  const topics = newTopics();
  const name = Uint8Array.of(0xff, 0x61, 0xc3, 0x28);
  const topic = find(topics, [name]);
  assertEquals(topic.channel, "\udcffa\udcc3(");
  assertStrictEquals(find(topics, [name]), topic);
  // As text it would be the same.
  assert(find(topics, [Uint8Array.of(0xfe, 0x61, 0xc3, 0x28)]) !== topic);
});

test("names that differ only in what follows them on the wire, or in their zeros, are not mixed up", () => {
  const topics = newTopics();
  const texts = [
    "a",
    "a\r",
    "a\r\n",
    "a\r\n$",
    "a\r\n$\r",
    "",
    "\r",
    "\r\n",
    "\r\n$",
    "\0",
    "\0\0",
    "\0\0\0",
    "\0\0\0\0",
  ];
  const found = texts.map((text) => find(topics, names(text)));
  assertEquals(found.map(({ channel }) => channel), texts);
  for (const [i, text] of texts.entries()) assertStrictEquals(find(topics, names(text)), found[i]);
});

/** What stands between two names, and a little of it, so that one name may look like two. */
const piece = fc.constantFrom("a", "b", "\r", "\n", "$", "1", "8", "\0", "\r\n", "\r\n$", "\r\n$1\r\n", "\r\n$8\r\n");
const trap = fc.array(piece, { maxLength: 8 }).map((pieces) => encoder.encode(pieces.join("")));
const anyName = fc.oneof(
  { weight: 4, arbitrary: trap },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 20 }) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 250, maxLength: 260 }) },
);

function keyOf(names: Names): string {
  return JSON.stringify(names.map((name) => [...name]));
}

/** Whatever is found has the names that were looked for, and is the same object as before while that is remembered. */
function assertNeverMixed(topics: Topics, all: readonly Names[]): void {
  const seen = new Map<Topic, string>();
  for (const names of all) {
    const topic = find(topics, names);
    const channel = decodeName(names.at(-1)!);
    const pattern = names.length === 2 ? decodeName(names[0]) : undefined;
    assertEquals([topic.channel, topic.pattern], [channel, pattern]);
    const key = keyOf(names);
    assertEquals(seen.get(topic) ?? key, key);
    seen.set(topic, key);
  }
}

test("names are never mixed up, however alike they are", () => {
  fc.assert(
    fc.property(fc.array(anyName, { maxLength: 40, size: "max" }), (all) => {
      assertNeverMixed(newTopics(), [...all, ...all].map((name): Names => [name]));
    }),
    { numRuns: 300 },
  );
});

test("a pattern and a channel are never mixed up with others that look the same in a row", () => {
  const pairs = fc.array(fc.tuple(anyName, anyName), { maxLength: 20, size: "max" });
  fc.assert(
    fc.property(pairs, (all) => assertNeverMixed(newTopics(), [...all, ...all])),
    { numRuns: 300 },
  );
});

/** Two ways to cut the same bytes into a pattern and a channel: what is between them moves to either side. */
const twins = fc.tuple(trap, trap, trap).map(([left, middle, right]): [Names, Names] => {
  const join = (a: Uint8Array, b: Uint8Array) => concat([a, encoder.encode(`\r\n$${b.length}\r\n`), b]);
  return [[left, join(middle, right)], [
    join(left, join(middle, right)).slice(0, -right.length - between(right)),
    right,
  ]];
});

function between({ length }: Uint8Array): number {
  return `\r\n$${length}\r\n`.length;
}

test("two pairs of a pattern and a channel whose bytes on the wire are the same are still two", () => {
  const [one, other] = [names("a", "b\r\n$1\r\nc"), names("a\r\n$8\r\nb", "c")];
  const topics = newTopics();
  assertEquals([find(topics, one), find(topics, other)].map(({ pattern, channel }) => [pattern, channel]), [
    ["a", "b\r\n$1\r\nc"],
    ["a\r\n$8\r\nb", "c"],
  ]);
  fc.assert(fc.property(fc.array(twins, { minLength: 1, maxLength: 5 }), (all) => {
    assertNeverMixed(newTopics(), [...all, ...all].flat());
  }));
});

test("300,000 names of the same length, of which some must have the same hash, are not mixed up", () => {
  const dice = new Dice(7);
  const { bytes, header } = headerOf(names("12345678"));
  const count = 300_000;
  const view = new DataView(bytes.buffer);
  const topics = newTopics(count / 2);
  const name = bytes.subarray(header.channelFrom, header.channelTo);
  const all = Uint8Array.from({ length: 8 * count }, () => Math.floor(dice.next() * 128));
  const lookUp = (i: number) => {
    name.set(all.subarray(8 * i, 8 * i + 8));
    return topics.find(bytes, view, header);
  };
  const found = Array.from({ length: count }, (_, i) => lookUp(i));
  const text = new TextDecoder().decode(all);
  const mixed = found.filter(({ channel }, i) => channel !== text.slice(8 * i, 8 * i + 8));
  const forgotten = found.filter((topic, i) => lookUp(i) !== topic);
  assertEquals([mixed.length, forgotten.length], [0, 0]);
});

/** The only names of a topic whose header has so many bytes. */
function namesOfHeader(length: number, kind: "channel" | "pattern"): Names {
  const pattern = kind === "pattern" ? ["p".repeat(100)] as const : [];
  for (let size = length;; size--) {
    const all = names(...[...pattern, "é".repeat(size >> 1) + "x".repeat(size & 1)] as [string]);
    if (headerOf(all).header.length === length) return all;
  }
}

test("topics with a header of up to 288 bytes are remembered, others are found and forgotten", () => {
  for (const kind of ["channel", "pattern"] as const) {
    for (const [length, remembered] of [[287, true], [288, true], [289, false], [5_000, false]] as const) {
      const topics = newTopics();
      const all = namesOfHeader(length, kind);
      const topic = find(topics, all);
      assertEquals([topics.rows[topics.last + LENGTH], topic.channel], [length, decodeName(all.at(-1)!)]);
      assertEquals(find(topics, all) === topic, remembered, `${kind} ${length}`);
    }
  }
});

test("names with words that are zero or not a number are found, never mixed up, and not remembered", () => {
  for (let before = 0; before < 8; before++) {
    const pieces = [[0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0x80], [1, 0, 0, 0, 0, 0, 0xf8, 0x7f]];
    const all = pieces.map((bytes): Names => [Uint8Array.of(...new Array(before).fill(0x61), ...bytes, 1, 2, 3)]);
    const topics = newTopics();
    for (let round = 0; round < 3; round++) {
      for (const names of all) assertEquals(find(topics, names).channel, decodeName(names[0]));
    }
  }
  const alone = newTopics();
  const zeros: Names = [new Uint8Array(24)];
  assert(find(alone, zeros) !== find(alone, zeros));
});

test("a guess is made only where the whole header is left", () => {
  const topics = newTopics();
  const { bytes, header } = headerOf(names("news"));
  const view = new DataView(bytes.buffer);
  assertEquals(guess(topics, view, 0, bytes.length), undefined);
  const topic = topics.find(bytes, view, header);
  assertStrictEquals(guess(topics, view, 0, header.length), topic);
  assertEquals(guess(topics, view, 0, header.length - 1), undefined);
  bytes[header.channelFrom] = 0x4e;
  assertEquals(guess(topics, view, 0, header.length), undefined);
});

/** Looks for so many different names; how many of them, from the last one on, are remembered. */
function remembered(topics: Topics, count: number): number {
  const found = Array.from({ length: count }, (_, i) => find(topics, names(`channel:${i}`)));
  let hits = 0;
  while (hits < count && find(topics, names(`channel:${count - 1 - hits}`)) === found[count - 1 - hits]) hits++;
  return hits;
}

for (const [subscriptions, most] of [[0, 4_096], [2_048, 4_096], [2_049, 4_098], [6_000, 12_000]] as const) {
  test(`with ${subscriptions} subscriptions ${most} names are remembered, and never more`, () => {
    for (const count of [1, 1_000, most - 1, most]) {
      assertEquals(remembered(newTopics(subscriptions), count), count);
    }
    for (const count of [most + 1, most + 100, 2 * most, 2 * most + 1, 3 * most + 7]) {
      const left = remembered(newTopics(subscriptions), count);
      assert(left > 0 && left <= most, `${left} of ${count}`);
    }
  });
}

test("what was forgotten is remembered anew", () => {
  const topics = newTopics();
  assertEquals(remembered(topics, 4_097), 1);
  for (let round = 0; round < 3; round++) {
    const first = find(topics, names("channel:0"));
    assertStrictEquals(find(topics, names("channel:0")), first);
    assertEquals(remembered(topics, 4_000), 4_000);
  }
});

test("fewer subscriptions make it forget with the next new name, not with one that it knows", () => {
  let subscriptions = 5_000;
  const topics = new Topics(() => subscriptions);
  assertEquals(remembered(topics, 10_000), 10_000);
  const topic = find(topics, names("channel:0"));
  subscriptions = 10;
  assertStrictEquals(find(topics, names("channel:0")), topic);
  find(topics, names("new"));
  assert(find(topics, names("channel:0")) !== topic);
});

const CANNOT = collect === undefined ? "the garbage collector cannot be asked to run" : undefined;

testUnless(CANNOT, "whoever keeps a topic keeps no other one that is forgotten", async () => {
  const topics = newTopics();
  const first = find(topics, names("channel:0"));
  const forgotten: WeakRef<Topic>[] = [];
  for (let i = 1; i < 5 * 4_096; i++) {
    const topic = find(topics, names(`channel:${i}`));
    if (i < 4 * 4_096) forgotten.push(new WeakRef(topic));
  }
  await held();
  assertEquals([first.channel, forgotten.filter((topic) => topic.deref() !== undefined).length], ["channel:0", 0]);
});

testUnless(CANNOT, "whoever keeps a topic that was never remembered keeps none that came after it", async () => {
  const topics = newTopics();
  const first = find(topics, names("x".repeat(1_000)));
  const later = Array.from({ length: 100 }, (_, i) => new WeakRef(find(topics, names("y".repeat(1_000 + i)))));
  find(topics, names("z"));
  await held();
  assertEquals([first.channel.length, later.filter((topic) => topic.deref() !== undefined).length], [1_000, 0]);
});

testUnless(CANNOT, "what is forgotten takes no memory", async () => {
  const topics = newTopics();
  const lookUp = (from: number, to: number) => {
    for (let i = from; i < to; i++) find(topics, names(String(i).padStart(200, "channel ")));
  };
  lookUp(0, 5_000);
  const before = await held();
  lookUp(5_000, 60_000);
  const more = await held() - before;
  assert(find(topics, names("x")).channel === "x" && more < 4 * 1_024 * 1_024, `${more} bytes more`);
});
