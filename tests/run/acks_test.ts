import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { encodeName } from "../../src/name.ts";
import { PushReader } from "../../src/protocol/push.ts";
import { Reader, type ReaderLimits } from "../../src/resp/reader.ts";
import { CommandBuffer, concat } from "../../src/resp/writer.ts";
import { Acks } from "../../src/run/acks.ts";
import { test } from "../support/test.ts";

const encoder = new TextEncoder();

function frame(name: string | Uint8Array, { type = ">", label = "subscribe", count = "1" } = {}): Uint8Array {
  const bytes = typeof name === "string" ? encodeName(name) : name;
  const head = `${type}3\r\n$${label.length}\r\n${label}\r\n$${bytes.length}\r\n`;
  return concat([encoder.encode(head), bytes, encoder.encode(`\r\n:${count}\r\n`)]);
}

/** Is the acknowledgement of `news` found in these bytes? Where it is, nothing else is taken with it. */
function find(wire: Uint8Array, protocol: 2 | 3 = 3, limits?: Partial<ReaderLimits>, name = "news"): boolean {
  const reader = new Reader(limits);
  reader.feed(concat([wire, encoder.encode("+")]));
  const before = reader.offset;
  const found = new Acks(reader, protocol).take("subscribe", [{ name }], 0) === 1;
  assertEquals(reader.offset - before, found ? wire.length : 0);
  return found;
}

const FOUND: readonly (readonly [what: string, wire: Uint8Array, protocol: 2 | 3, found: boolean])[] = [
  ["a push in RESP3", frame("news"), 3, true],
  ["an array in RESP2", frame("news", { type: "*" }), 2, true],
  ["an array in RESP3", frame("news", { type: "*" }), 3, false],
  ["a push in RESP2", frame("news"), 2, false],
  ["a long count", frame("news", { count: "123456789" }), 3, true],
  ["a count that may be no number", frame("news", { count: "1234567890123456789012" }), 3, false],
  ["a count of nothing", frame("news", { count: "" }), 3, false],
  ["a count that is negative", frame("news", { count: "-1" }), 3, false],
  ["a count with a zero in front", frame("news", { count: "01" }), 3, false],
  ["the count 0", frame("news", { count: "0" }), 3, true],
  ["another name", frame("newt"), 3, false],
  ["a longer name", frame("newsy"), 3, false],
  ["another label", frame("news", { label: "psubscrib" }), 3, false],
  ["a longer label", frame("news", { label: "psubscribe" }), 3, false],
];

for (const [what, wire, protocol, found] of FOUND) {
  test(`${found ? "found" : "left to the reader"}: ${what}`, () => assertEquals(find(wire, protocol), found));
}

test("an acknowledgement that is cut off anywhere waits for the rest, and is taken with it", () => {
  const wire = concat([frame("ago"), frame("news", { count: "123456789" })]);
  const due = [{ name: "ago" }, { name: "news" }];
  for (let length = 0; length < wire.length; length++) {
    const reader = new Reader();
    const acks = new Acks(reader, 3);
    reader.feed(wire.slice(0, length));
    const taken = acks.take("subscribe", due, 0);
    const rest = length - reader.offset;
    assertEquals([taken, acks.isCutOff], [Number(length >= frame("ago").length), rest > 0]);
    reader.feed(wire.slice(length));
    assertEquals([acks.take("subscribe", due, taken), acks.isCutOff, reader.offset], [2, false, wire.length]);
  }
});

test("a chunk whose front is copied behind what waits is taken to its end, wherever that front ends", () => {
  const counts = Array.from({ length: 300 }, (_, i) => 1_000 + i);
  const due = counts.map((count) => ({ name: `channel:${count}` }));
  const wire = concat(counts.map((count) => frame(`channel:${count}`, { count: `${count}` })));
  for (let cut = 1; cut < wire.length / due.length; cut++) {
    const reader = new Reader();
    const acks = new Acks(reader, 3);
    reader.feed(wire.slice(0, cut));
    assertEquals(acks.take("subscribe", due, 0), 0);
    reader.feed(wire.slice(cut));
    let taken = 0;
    for (let from = -1; from < taken;) taken = acks.take("subscribe", due, from = taken);
    assertEquals([taken, reader.offset], [due.length, wire.length]);
  }
});

test("what is cut off and no beginning of one that is due does not wait", () => {
  const wires = [
    frame("newt"),
    frame("newsy"),
    frame("news", { type: "*" }),
    frame("news", { label: "psubscrib" }),
    frame("news", { count: "1234567890" }),
    frame("news", { count: "1x" }),
  ];
  for (const wire of wires) {
    const reader = new Reader();
    const acks = new Acks(reader, 3);
    reader.feed(wire.slice(0, -1));
    assertEquals([acks.take("subscribe", [{ name: "news" }], 0), acks.isCutOff], [0, false]);
  }
  const name = "n".repeat(257);
  const reader = new Reader();
  const acks = new Acks(reader, 3);
  reader.feed(frame(name).slice(0, -1));
  assertEquals([acks.take("subscribe", [{ name }], 0), acks.isCutOff], [0, false]);
});

test("all of one command are taken at once where each is as it was asked for, and else as they are one by one", () => {
  const name = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.string({ unit: "binary", maxLength: 3 }),
    fc.constant(":1\r\n"),
  )
    .filter((name) => name.isWellFormed());
  const damage = fc.option(fc.tuple(fc.nat(400), fc.nat(255)), { nil: undefined });
  fc.assert(
    fc.property(fc.array(name, { minLength: 1, maxLength: 9 }), damage, fc.nat(9), (names, damaged, swapped) => {
      const due = names.map((name) => ({ name }));
      const asked = new CommandBuffer().addNames("SUBSCRIBE", due);
      const wire = concat(names.map((name, i) => frame(names[swapped] === name ? "other" : name, { count: `${i}` })));
      if (damaged !== undefined && damaged[0] < wire.length) wire[damaged[0]] = damaged[1];
      const [quick, slow] = [new Reader(), new Reader()];
      for (const reader of [quick, slow]) reader.feed(concat([wire, frame("next").slice(0, 9)]));
      const [all, each] = [new Acks(quick, 3), new Acks(slow, 3)];
      assertEquals(all.take("subscribe", due, 0, asked), each.take("subscribe", due, 0));
      assertEquals([quick.offset, all.isCutOff], [slow.offset, each.isCutOff]);
    }),
    { numRuns: 2_000 },
  );
});

test("a name beyond ASCII is left to the reader, also where its characters look like the bytes", () => {
  assertEquals(find(frame("é"), 3, undefined, "é"), false);
  assertEquals(find(frame(Uint8Array.of(0xe9)), 3, undefined, "é"), false);
});

test("nothing is found where the limits are tighter than what it takes, or the name is longer than they allow", () => {
  for (const limits of [{ elements: 2 }, { depth: 0 }, { lineBytes: 8 }, { bulkBytes: 8 }]) {
    assertEquals(find(frame("news"), 3, limits), false);
  }
  const name = "n".repeat(40);
  assertEquals([find(frame(name), 3, { bulkBytes: 39 }, name), find(frame(name), 3, { bulkBytes: 40 }, name)], [
    false,
    true,
  ]);
});

test("in the middle of a reply nothing is found", () => {
  const reader = new Reader();
  reader.feed(encoder.encode("*2\r\n"));
  assertEquals(reader.next(), undefined);
  reader.feed(frame("news"));
  assertEquals(new Acks(reader, 3).take("subscribe", [{ name: "news" }], 0), 0);
});

test("whatever is found, the reader finds as well, whatever the damage", () => {
  const names = fc.string({ unit: "binary", maxLength: 12 }).filter((name) => name.isWellFormed());
  const damage = fc.option(fc.tuple(fc.nat(60), fc.nat(255)), { nil: undefined });
  fc.assert(
    fc.property(names, names, damage, (name, expected, damaged) => {
      const wire = frame(name);
      if (damaged !== undefined) wire[damaged[0] % wire.length] = damaged[1];
      const [quick, slow] = [new Reader(), new Reader()];
      quick.feed(wire.slice());
      slow.feed(wire.slice());
      for (const wanted of [expected, name]) {
        if (new Acks(quick, 3).take("subscribe", [{ name: wanted }], 0) === 0) continue;
        const reply = slow.next();
        assertEquals(reply?.type, "push");
        if (reply?.type !== "push") return;
        assertEquals(new PushReader().read(reply.value), { type: "subscribed", kind: "channel", name: wanted });
        assertEquals(quick.offset, slow.offset);
        return;
      }
    }),
    { numRuns: 2_000 },
  );
});

test("those that come one behind the other are taken at once, up to the first that is not there", () => {
  const names = ["a", "bb", "cc", "d", "e"].map((name) => ({ name }));
  const reader = new Reader();
  const there = [..."a,bb,cc,x,e".split(",")].map((name) => frame(name));
  reader.feed(concat(there));
  assertEquals(new Acks(reader, 3).take("subscribe", names, 1), 1);
  assertEquals(new Acks(reader, 3).take("subscribe", names, 0), 3);
  assertEquals(reader.offset, concat(there.slice(0, 3)).length);
  assertEquals(new Acks(reader, 3).take("subscribe", names, 3), 3);
});

test("many that are not as they were asked for are given up at once, however long their names", () => {
  for (const length of [3, 10, 19, 99, 100, 199]) {
    const due = Array.from({ length: 512 }, (_, i) => ({ name: `${i}`.padStart(length, "x") }));
    const asked = new CommandBuffer().addNames("SUBSCRIBE", due);
    const wire = concat(due.map(({ name }) => frame(name)));
    for (const end of ["\n", "x"]) {
      wire[wire.length - 1] = end.charCodeAt(0);
      const reader = new Reader();
      reader.feed(concat([wire, frame("next")]));
      assertEquals(new Acks(reader, 3).take("subscribe", due, 0, asked), end === "\n" ? 512 : 511);
      assertEquals(reader.offset, end === "\n" ? wire.length : wire.length - frame(due.at(-1)!.name).length);
    }
  }
});
