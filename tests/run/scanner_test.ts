import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/errors.ts";
import type { Kind } from "../../src/message.ts";
import { KIND_NAMES, KINDS } from "../../src/protocol/kind.ts";
import type { Inbox } from "../../src/resp/buffer.ts";
import { Reader, type ReaderLimits } from "../../src/resp/reader.ts";
import { concat } from "../../src/resp/writer.ts";
import { MOST_MESSAGES, Run } from "../../src/run/run.ts";
import { Scanner } from "../../src/run/scanner.ts";
import { takeAll } from "../support/run.ts";
import { test } from "../support/test.ts";
import { assertSame, everywhere, feed, FEEDINGS, LONGEST_IN_PLACE, Side } from "./side.ts";

const encoder = new TextEncoder();

/** A message as servers send it. */
function frame(kind: Kind, payload: string, { channel = "news", pattern = "n*", type = ">" } = {}): Uint8Array {
  const { message, messageArity } = KINDS[kind];
  const names = messageArity === 4 ? [pattern, channel] : [channel];
  const strings = [message, ...names, payload].map((text) => `$${encoder.encode(text).length}\r\n${text}\r\n`);
  return encoder.encode(`${type}${messageArity}\r\n${strings.join("")}`);
}

function newScanner(reader: Reader, protocol: 2 | 3 = 3): Scanner {
  return new Scanner({ limits: reader.limits, protocol, subscriptions: () => 0 });
}

/** What the scanner says of these bytes, and how many messages it found. */
function scan(wire: string | Uint8Array, protocol: 2 | 3 = 3, limits?: Partial<ReaderLimits>): string {
  const reader = new Reader(limits);
  const run = new Run();
  reader.feed(typeof wire === "string" ? encoder.encode(wire) : wire);
  const found = newScanner(reader, protocol).scan(reader, run);
  return run.count === 0 ? found : `${run.count} ${found}`;
}

const MESSAGE = "$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n";
const PMESSAGE = "$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$5\r\nhello\r\n";

test("a message of any kind is found, in RESP2 also as an array, and told with its names and payload", () => {
  for (const kind of KIND_NAMES) {
    for (const [type, protocols] of [[">", [3, 2]], ["*", [2]]] as const) {
      for (const protocol of protocols) {
        const reader = new Reader();
        const run = new Run();
        const wire = frame(kind, "hello", { type });
        reader.feed(wire);
        assertEquals(newScanner(reader, protocol).scan(reader, run), "messages");
        const pattern = kind === "pattern" ? "n*" : undefined;
        assertEquals(takeAll(run), [
          { type: "message", kind, channel: "news", pattern, payload: encoder.encode("hello") },
        ]);
        assertEquals([reader.offset, reader.next()], [wire.length, undefined]);
      }
    }
  }
});

test("behind the last message is the end, which lets go of the chunk; after an error it is the reader that speaks", () => {
  const reader = new Reader();
  const scanner = newScanner(reader);
  const run = new Run();
  assertEquals(scanner.scan(reader, run), "the end");
  const wire = frame("channel", "hello");
  reader.feed(wire);
  assertEquals([scanner.scan(reader, run), reader.inbox?.bytes === wire], ["messages", true]);
  assertEquals([scanner.scan(reader, run), reader.inbox?.bytes === wire], ["the end", false]);
  reader.feed(encoder.encode("?\r\n"));
  assertEquals(scanner.scan(reader, run), "nothing");
  assertThrows(() => reader.next(), ProtocolError);
  assertEquals(scanner.scan(reader, run), "nothing");
  assertThrows(() => reader.next(), ProtocolError);
});

const FOUND: readonly (readonly [wire: string, found: string])[] = [
  [`>3\r\n${MESSAGE}`, "1 messages"],
  [`>3\r\n${MESSAGE}>3\r\n${MESSAGE}`, "2 messages"],
  [`>3\r\n${MESSAGE}>4\r\n${PMESSAGE}>3\r\n${MESSAGE}`, "3 messages"],
  [`>3\r\n${MESSAGE}:1\r\n`, "1 messages"],
  [`>3\r\n${MESSAGE}?`, "1 messages"],
  [`>3\r\n${MESSAGE}>3\r\n`, "1 messages"],
  [">3\r\n$7\r\nmessage\r\n$0\r\n\r\n$0\r\n\r\n", "1 messages"],
  [">4\r\n$8\r\npmessage\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n", "1 messages"],
  [`:1\r\n>3\r\n${MESSAGE}`, "nothing"],
  [`*3\r\n${MESSAGE}`, "nothing"],
  [`~3\r\n${MESSAGE}`, "nothing"],
  [`>4\r\n${MESSAGE}$1\r\nx\r\n`, "nothing"],
  [`>3\r\n${PMESSAGE}`, "nothing"],
  [">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n", "nothing"],
  [">3\r\n$7\r\nMESSAGE\r\n$4\r\nnews\r\n$5\r\nhello\r\n", "nothing"],
  [">3\r\n$7\r\nmessage\r\n$04\r\nnews\r\n$5\r\nhello\r\n", "nothing"],
  [">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$05\r\nhello\r\n", "nothing"],
  [">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$+5\r\nhello\r\n", "nothing"],
  [">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$-1\r\n           ", "nothing"],
  [">3\r\n$7\r\nmessage\r\n$?\r\n;4\r\nnews\r\n;0\r\n$5\r\nhello\r\n", "nothing"],
  [">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$?\r\n;5\r\nhello\r\n;0\r\n", "nothing"],
  [">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n=9\r\ntxt:hello\r\n", "nothing"],
  [">3\r\n$7\r\nmessage\r\n$4\r\nnewsx\r\n$5\r\nhello\r\n", "nothing"],
  [">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhellox\r\n", "nothing"],
  [">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\rx", "nothing"],
  [">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\nhello\r\n......", "nothing"],
  [">3\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n", "nothing"],
  [">", "a part of one"],
  [">3\r\n$7\r\nmess", "a part of one"],
  [">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$", "a part of one"],
  [">3\r\n$7\r\nmessage\r\n$04", "a part of one"],
  [">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r", "a part of one"],
  ["*", "nothing"],
  [">2", "nothing"],
  [">3\r\n$9\r\nsub", "nothing"],
  [">3\r\n$7\r\nmessage\r\n$04\r\n", "nothing"],
  [">3\r\n$7\r\nmessage\r\n$4x", "nothing"],
  [">3\r\n$7\r\nmessage\r\n$4\r\nnews\rx", "nothing"],
  [">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n=", "nothing"],
];

for (const [wire, found] of FOUND) {
  test(`${JSON.stringify(wire)} has ${found}`, () => {
    assertEquals(scan(wire), found);
    assertSame(encoder.encode(wire), { cuts: [], feedings: ["foreign"] }, { protocol: 3 });
  });
}

test("the front of a message is waited for in place up to 512 bytes, and within the limits; a longer one is the reader's", () => {
  const front = (length: number) => `>3\r\n$7\r\nmessage\r\n$9999\r\n`.padEnd(length, "x");
  assertEquals(scan(front(512)), "a part of one");
  assertEquals(scan(front(513)), "nothing");
  assertEquals(scan(`>3\r\n$7\r\nmessage\r\n$${"9".repeat(10)}`), "a part of one");
  assertEquals(scan(`>3\r\n$7\r\nmessage\r\n$${"9".repeat(11)}`), "nothing");
  assertEquals(scan(">3\r\n$7\r\nmess", 3, { depth: 0 }), "nothing");
});

test("in RESP2 an array that is no message is not one", () => {
  assertEquals(scan(`*3\r\n${MESSAGE}`, 2), "1 messages");
  assertEquals(scan("*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n", 2), "nothing");
  assertEquals(scan("*2\r\n$4\r\npong\r\n$0\r\n\r\n             ", 2), "nothing");
});

test("within an unfinished reply, after an attribute and after an error there is nothing to find", () => {
  for (const text of ["*2\r\n:1\r\n", "|1\r\n+a\r\n+b\r\n", "$?\r\n", "$9\r\n", "?"]) {
    const reader = new Reader();
    reader.feed(encoder.encode(text));
    if (text === "?") assertThrows(() => reader.next(), ProtocolError);
    else reader.next();
    reader.feed(encoder.encode(`>3\r\n${MESSAGE}`));
    const run = new Run();
    assertEquals([newScanner(reader).scan(reader, run), run.count], ["nothing", 0], text);
  }
});

test("limits that are tighter than a message needs turn it off, others do not", () => {
  const cases: [Partial<ReaderLimits>, boolean][] = [
    [{ elements: 4 }, true],
    [{ elements: 3 }, false],
    [{ depth: 1 }, true],
    [{ depth: 0 }, false],
    [{ lineBytes: 16 }, true],
    [{ lineBytes: 15 }, false],
    [{ bulkBytes: 8 }, true],
    [{ bulkBytes: 7 }, false],
    [{ bulkBytes: 6 }, false],
    [{ bulkBytes: 0 }, false],
  ];
  for (const [limits, on] of cases) {
    const says = JSON.stringify(limits);
    const found = scan(`>3\r\n${MESSAGE}`, 3, limits);
    // 7 is enough for a `message`, and too little for a `pmessage`: either is as good.
    if (limits.bulkBytes !== 7) assertEquals(found, on ? "1 messages" : "nothing", says);
    for (const wire of [frame("channel", "hello"), frame("pattern", "hello"), frame("shard", "hello")]) {
      for (const cuts of [[], everywhere(wire)]) {
        assertSame(wire, { cuts, feedings: ["ahead"] }, { protocol: 3, limits });
      }
    }
  }
});

test("a name or a payload that is longer than the limit is left to the reader, which says so", () => {
  const limits = { bulkBytes: 20 };
  for (const kind of KIND_NAMES) {
    for (const part of ["pattern", "channel", "payload"] as const) {
      for (const [length, fits] of [[20, true], [21, false], [200, false]] as const) {
        const text = "x".repeat(length);
        const wire = frame(kind, part === "payload" ? text : "hello", part === "payload" ? {} : { [part]: text });
        const isThere = part !== "pattern" || kind === "pattern";
        assertEquals(scan(wire, 3, limits), fits || !isThere ? "1 messages" : "nothing", `${kind} ${part} ${length}`);
        const side = assertSame(wire, { cuts: [], feedings: ["foreign"] }, { protocol: 3, limits });
        const says = side.error === undefined ? "" : String(side.error[0]);
        assertEquals(says.startsWith("String longer than 20 bytes"), !fits && isThere);
      }
    }
  }
});

test("a length of more digits than any has is left to the reader, also where it would wrap around", () => {
  for (const length of ["1073741825", "4294967301", "99999999999999999999", "18446744073709551621"]) {
    for (const wire of [`$${length}\r\nnews\r\n$5\r\nhello\r\n`, `$4\r\nnews\r\n$${length}\r\nhello\r\n`]) {
      assertEquals(scan(`>3\r\n$7\r\nmessage\r\n${wire}`), "nothing");
    }
  }
});

test("a run that is full leaves the rest for the next one", () => {
  const reader = new Reader();
  const run = new Run();
  const scanner = newScanner(reader);
  const count = MOST_MESSAGES + 3;
  reader.feed(concat(Array.from({ length: count }, (_, i) => frame("channel", String(i % 10), { channel: "" }))));
  const numbers: number[] = [];
  while (scanner.scan(reader, run) === "messages") {
    assert(run.count <= MOST_MESSAGES);
    numbers.push(...takeAll(run).map(({ payload }) => payload[0]! - 0x30));
  }
  assertEquals(numbers, Array.from({ length: count }, (_, i) => i % 10));
});

test("messages on the same channels share a topic, across runs; a reader that goes between does no harm", () => {
  const reader = new Reader();
  const run = new Run();
  const scanner = newScanner(reader);
  const topics = new Set<unknown>();
  for (let round = 0; round < 3; round++) {
    for (const channel of ["a", "b", "a", "c", "b"]) reader.feed(frame("channel", "x", { channel }));
    reader.feed(encoder.encode(":1\r\n"));
    assertEquals([scanner.scan(reader, run), run.count], ["messages", 5]);
    for (let i = 0; i < run.count; i++) topics.add(run.topic(i));
    assertEquals(takeAll(run).map(({ channel }) => channel), ["a", "b", "a", "c", "b"]);
    assertEquals([scanner.scan(reader, run), reader.next()?.type], ["nothing", "integer"]);
  }
  assertEquals(topics.size, 3);
});

test("names that differ in one byte, the last one, or in length only, are told apart", () => {
  const channels = ["news", "newt", "new", "news\r\n", "pews", "nexs", "", "n", "news:11", "news:12", "news:1"];
  const wire = concat([...channels, ...channels.toReversed()].map((channel) => frame("channel", channel, { channel })));
  const side = assertSame(wire, { cuts: [], feedings: ["foreign"] }, { protocol: 3 });
  assertEquals(side.scanned, 2 * channels.length);
});

test("of a first line that the reader has begun to look at, nothing is remembered when the message is found", () => {
  const wire = concat([frame("channel", "hello"), encoder.encode("+\r\n:1\r\n")]);
  for (const cut of [1, 2, 3]) {
    const side = assertSame(wire, { cuts: [cut], feedings: ["foreign"] }, { protocol: 3 });
    assertEquals([side.scanned, side.error], [1, undefined]);
    const begun = new Side("fast", { protocol: 3 });
    feed(begun.reader, wire, 0, cut, "foreign");
    assertEquals(begun.reader.next(), undefined);
    feed(begun.reader, wire, cut, wire.length, "foreign");
    begun.read();
    assertEquals([begun.scanned, begun.error, begun.seen.length], [1, undefined, 3]);
  }
});

for (const kind of KIND_NAMES) {
  for (const [protocol, type] of [[3, ">"], [2, "*"], [2, ">"]] as const) {
    const what = `a message of a ${kind} in RESP${protocol} as ${type === ">" ? "push" : "array"}`;

    test(`${what} may be cut at any place, or come byte by byte`, () => {
      const same = frame(kind, "hello", { type });
      const other = frame(kind, "\r\n$5\r\nother\r\n", { type, channel: "newt", pattern: "*" });
      for (const wire of [concat([same, same, other]), concat([other, same, same])]) {
        for (const feeding of FEEDINGS) {
          for (const cut of everywhere(wire)) assertSame(wire, { cuts: [cut], feedings: [feeding] }, { protocol });
          assertSame(wire, { cuts: everywhere(wire), feedings: [feeding] }, { protocol });
        }
        assertSame(wire, { cuts: everywhere(wire), feedings: FEEDINGS }, { protocol });
      }
    });

    test(`${what} is waited for in place, wherever it is cut`, () => {
      const wire = frame(kind, "hello, this is news", { type });
      for (const feeding of FEEDINGS) {
        for (const cut of everywhere(wire)) {
          const side = new Side("fast", { protocol });
          feed(side.reader, wire, 0, cut, feeding);
          side.read();
          assertEquals(side.seen, [], `${cut} bytes`);
          feed(side.reader, wire, cut, wire.length, feeding);
          side.read();
          assertEquals([side.seen.length, side.scanned], [1, 1], `${cut} bytes`);
        }
      }
    });

    test(`${what} in which any byte is another is what the reader says it is`, () => {
      const good = frame(kind, "hello", { type });
      const bytes = [..."\0\r\n$*>0123456789:-+?xm\xff"].map((character) => character.charCodeAt(0));
      for (const at of everywhere(good)) {
        for (const byte of bytes) {
          const bad = good.slice();
          bad[at] = byte;
          // Alone, and behind one that it is compared with.
          assertSame(concat([bad, good]), { cuts: [], feedings: ["ahead"] }, { protocol });
          for (const cuts of [[], [good.length + at]]) {
            assertSame(concat([good, bad, good]), { cuts, feedings: ["ahead", "foreign"] }, { protocol });
          }
        }
      }
    });
  }
}

/** A reader that counts how often somebody looks at the bytes before it. */
class WatchedReader extends Reader {
  looks = 0;

  override get inbox(): Inbox | undefined {
    const { inbox } = { inbox: super.inbox };
    return inbox && new Proxy(inbox, {
      get: (target, key) => {
        if (key === "bytes" || key === "view") this.looks++;
        if (key === "more" || key === "release") return () => target[key]();
        return Reflect.get(target, key, target);
      },
    });
  }
}

/** A message with a payload of so many bytes, and where its payload starts and ends. */
function large(length: number): { wire: Uint8Array; from: number; to: number } {
  const wire = frame("channel", "x".repeat(length));
  return { wire, from: wire.length - length - 2, to: wire.length - 2 };
}

for (const length of [1_000, LONGEST_IN_PLACE]) {
  test(`a payload of ${length} bytes that comes in pieces is not looked at again before it is whole`, () => {
    for (const piece of [Math.ceil(length / 5_000), 100, 1_024]) {
      const { wire, from } = large(length);
      const reader = new WatchedReader();
      const side = new Side("fast", { protocol: 3 }, reader);
      let at = feed(reader, wire, 0, from, "stale");
      side.read();
      reader.looks = 0;
      while (at < wire.length) {
        assertEquals(side.seen.length, 0);
        const count = feed(reader, wire, at, Math.min(at + piece, wire.length), "stale");
        at += count;
        side.read();
      }
      assertEquals([side.seen.length, side.scanned], [1, 1]);
      // Where the CR is there, where the LF is there, and what is behind it: each looks at a few properties.
      assert(reader.looks <= 12, `${reader.looks} looks at ${length} bytes in pieces of ${piece}`);
    }
  });
}

test("a longer payload is not waited for in place: the reader takes it out of the inbox", () => {
  for (const [length, scanned] of [[LONGEST_IN_PLACE, 1], [LONGEST_IN_PLACE + 1, 0]] as const) {
    const { wire } = large(length);
    const side = new Side("fast", { protocol: 3 });
    let at = 0;
    while (at < wire.length) {
      at += feed(side.reader, wire, at, Math.min(at + 60_000, wire.length), "stale");
      side.read();
    }
    assertEquals([side.seen.length, side.scanned], [1, scanned]);
    // Where it has come whole it is found, however long it is.
    assertEquals(scan(wire), "1 messages");
  }
});

test("a message behind others is waited for as the first one is", () => {
  const { wire, to } = large(5_000);
  const before = concat([frame("channel", "a"), frame("pattern", "b")]);
  const reader = new WatchedReader();
  const side = new Side("fast", { protocol: 3 }, reader);
  reader.feed(concat([before, wire.subarray(0, 3_000)]));
  side.read();
  assertEquals([side.seen.length, side.scanned], [2, 2]);
  reader.looks = 0;
  for (let at = 3_000; at < to; at += 100) {
    reader.feed(wire.slice(at, Math.min(at + 100, to)));
    side.read();
  }
  assertEquals(reader.looks, 0);
  reader.feed(wire.slice(to));
  side.read();
  assertEquals([side.seen.length, side.scanned], [3, 3]);
});

test("a payload whose CR LF is broken is told by the reader, where it is broken and as soon as that is there", () => {
  for (const length of [10, 5_000, LONGEST_IN_PLACE + 1]) {
    for (const [ending, at, excerpt] of [["x\n", 0, "x"], ["\rx", 1, "\rx"], ["\n\r", 0, "\n"]] as const) {
      const { wire, to } = large(length);
      wire.set(encoder.encode(ending), to);
      for (const cut of [0, to - 1, to, to + 1]) {
        for (const feeding of FEEDINGS) {
          const { error } = assertSame(wire, { cuts: [cut, to + at], feedings: [feeding] }, { protocol: 3 });
          assertEquals([error?.[0], error?.[1]], [
            `String without CR LF: ${JSON.stringify(excerpt)} at byte ${to}`,
            to,
          ]);
        }
      }
    }
  }
});
