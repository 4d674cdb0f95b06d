import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/errors.ts";
import { Body, Inbox } from "../../src/resp/buffer.ts";
import { Reader } from "../../src/resp/reader.ts";
import { test } from "../support/test.ts";
import { bytes, latin1, singleBytes } from "./wire.ts";

function waiting(inbox: Inbox): string {
  return latin1(inbox.bytes.subarray(inbox.start, inbox.end));
}

test("a chunk that comes while nothing waits is taken as it is", () => {
  const inbox = new Inbox();
  const first = bytes("abc");
  inbox.feed(first);
  assertStrictEquals(inbox.bytes, first);
  inbox.start = 3;
  const second = bytes("de");
  inbox.feed(second);
  assertStrictEquals(inbox.bytes, second);
  assertEquals([waiting(inbox), inbox.offset], ["de", 3]);
});

test("a chunk that comes while some wait is joined to them, and theirs stays untouched", () => {
  const inbox = new Inbox();
  const first = bytes("abcd");
  inbox.feed(first);
  inbox.start = 1;
  inbox.feed(bytes("efgh"));
  inbox.feed(bytes("ij"));
  assertEquals([waiting(inbox), inbox.offset, latin1(first)], ["bcdefghij", 1, "abcd"]);
});

test("a buffer that is read to its end is let go, an unread one is kept", () => {
  const inbox = new Inbox();
  inbox.feed(bytes("abc"));
  inbox.release();
  assertEquals(waiting(inbox), "abc");
  inbox.start = 3;
  inbox.release();
  assertEquals([inbox.bytes.length, inbox.offset], [0, 3]);
});

test("the buffer in which chunks are joined is used again, unless it is large", () => {
  const inbox = new Inbox();
  const joined = (size: number): Uint8Array => {
    inbox.feed(new Uint8Array(1));
    inbox.feed(new Uint8Array(size));
    while (inbox.more());
    const used = inbox.bytes;
    inbox.start = inbox.end;
    inbox.release();
    return used;
  };
  assertStrictEquals(joined(100), joined(200));
  const large = joined(1024 * 1024);
  assert(large.length > joined(100).length);
});

test("a body hands out exactly its bytes, and empty ones share no buffer", () => {
  const body = new Body(5);
  body.append(bytes("abcdef"), 1, 3);
  body.append(bytes("xyz"), 0, 3);
  assertEquals(body.length, 5);
  const whole = body.take();
  assertEquals([latin1(whole), whole.buffer.byteLength, body.length, body.take().length], ["bcxyz", 5, 0, 0]);
  const short = new Body(1_000_000);
  short.append(bytes("ab"), 0, 2);
  assertEquals(short.take().buffer.byteLength, 2);
  assert(new Body(0).take().buffer !== new Body(0).take().buffer);
});

/** Runs `body`; the lengths of the buffers that it made by number, none of which a test's own bytes are. */
function buffersMade(body: () => void): number[] {
  const real = globalThis.Uint8Array;
  const lengths: number[] = [];
  globalThis.Uint8Array = new Proxy(real, {
    construct(target, args, newTarget): object {
      if (typeof args[0] === "number") lengths.push(args[0]);
      return Reflect.construct(target, args, newTarget);
    },
  });
  try {
    body();
  } finally {
    globalThis.Uint8Array = real;
  }
  return lengths;
}

for (
  const header of ["$536870912\r\n", "=536870912\r\n", "*1\r\n$536870912\r\n", "$?\r\n;536870912\r\n", "!65536\r\n"]
) {
  test(`${JSON.stringify(header)} and three bytes make no buffer for what has not arrived`, () => {
    const reader = new Reader();
    const chunk = bytes(`${header}abc`);
    const made = buffersMade(() => {
      reader.feed(chunk);
      reader.next();
    });
    assertEquals(made, [1024]);
  });
}

test("after an error what is fed is not stored", () => {
  const reader = new Reader();
  reader.feed(bytes("?"));
  assertThrows(() => reader.next(), ProtocolError);
  const chunks = ["+a", "b\r\n"].map(bytes);
  assertEquals(buffersMade(() => chunks.forEach((chunk) => reader.feed(chunk))), []);
});

test("a reader that has caught up does not keep a large joining buffer", () => {
  const reader = new Reader({ lineBytes: 1_000_000 });
  const twoPieces = (size: number): number[] => {
    const chunks = ["+", `${"_".repeat(size)}\r\n`].map(bytes);
    return buffersMade(() => {
      chunks.forEach((chunk) => reader.feed(chunk));
      while (reader.next() !== undefined);
    });
  };
  assert(Math.max(...twoPieces(600_000)) > 256 * 1024);
  assertEquals([twoPieces(2), twoPieces(2)], [[1024], []]);
});

test("a long chunk is not copied for the end of a reply that stands before it", () => {
  const reader = new Reader();
  const chunks = ["+", "_\r\n".repeat(200_000)].map(bytes);
  let count = 0;
  const made = buffersMade(() => {
    chunks.forEach((chunk) => reader.feed(chunk));
    while (reader.next() !== undefined) count++;
  });
  assertEquals(count, 200_000);
  assert(Math.max(...made) <= 16 * 1024, String(made));
});

test("a promised count takes no room: 20,000 readers hold such a header each", () => {
  const readers = Array.from({ length: 20_000 }, () => {
    const reader = new Reader();
    reader.feed(bytes("*1000000\r\n"));
    assertEquals(reader.next(), undefined);
    return reader;
  });
  assertEquals(readers.every((reader) => reader.offset === 10), true);
});

const SIZE = 64 * 1024;
/** How a byte comes: in memory of its own, or read into the room. */
const COMINGS = {
  "as chunks": (reader: Reader, chunk: Uint8Array) => reader.feed(chunk),
  "in place": (reader: Reader, chunk: Uint8Array) => {
    const room = reader.room();
    room.set(chunk);
    reader.feed(room.subarray(0, chunk.length));
  },
} as const;
const PIECEMEAL: readonly string[] = [
  `$${SIZE}\r\n${"x".repeat(SIZE)}\r\n`,
  `=${SIZE}\r\n${"txt:".repeat(SIZE / 4)}\r\n`,
  `$?\r\n${";1\r\nx\r\n".repeat(SIZE)};0\r\n`,
  `+${"x".repeat(SIZE)}\r\n`,
];

const BYTE_BY_BYTE = PIECEMEAL.flatMap((wire) => {
  return (["as chunks", "in place"] as const).map((coming) => ({ wire, coming }));
});

for (const { wire, coming } of BYTE_BY_BYTE) {
  for (const when of ["after each byte", "at the end"]) {
    test(`what is copied stays in proportion, byte by byte ${coming}, read ${when}: ${JSON.stringify(wire.slice(0, 12))}`, () => {
      const reader = new Reader();
      const chunks = singleBytes(bytes(wire));
      const last = chunks.pop()!;
      const made = buffersMade(() => {
        for (const chunk of chunks) {
          COMINGS[coming](reader, chunk);
          if (when === "after each byte" && reader.next() !== undefined) throw new Error("The reply is not whole yet");
        }
        COMINGS[coming](reader, last);
        assert(reader.next() !== undefined);
      });
      const total = made.reduce((sum, length) => sum + length, 0);
      assert(total < 8 * wire.length, `${total} for ${wire.length}`);
    });
  }
}

/** The quickest of several runs, in milliseconds, after one to warm up. */
function quickest(run: () => void): number {
  run();
  let best = Infinity;
  for (let round = 0; round < 4; round++) {
    const start = performance.now();
    run();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

// What is looked at or moved within one buffer leaves no trace but time: a quadratic reader would take 64 times as long.
const GROWTH: Readonly<Record<string, (size: number) => () => void>> = {
  ...Object.fromEntries(
    Object.entries(COMINGS).map(([coming, feed]) => [`a line byte by byte ${coming}`, (size: number) => () => {
      const reader = new Reader({ lineBytes: size });
      const byte = Uint8Array.of(0x2b);
      for (let count = 0; count < size; count++) {
        feed(reader, byte);
        reader.next();
      }
    }]),
  ),
  "a backlog that never shrinks": (size) => () => {
    const reader = new Reader();
    for (let count = 0; count < size; count++) reader.feed(bytes("_\r\n"));
    for (let count = 0; count < size; count++) {
      reader.feed(bytes("_\r\n"));
      reader.next();
    }
  },
};

for (const [what, prepare] of Object.entries(GROWTH)) {
  test(`eight times as much takes about eight times as long: ${what}`, () => {
    const ratios: number[] = [];
    // On a busy machine any one measurement may be far off; a quadratic reader is slow in all of them.
    do ratios.push(quickest(prepare(128 * 1024)) / quickest(prepare(16 * 1024))); while (
      ratios.at(-1)! >= 32 && ratios.length < 8
    );
    assert(ratios.at(-1)! < 32, `${ratios} times as long`);
  });
}
