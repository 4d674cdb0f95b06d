import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Reader } from "../../src/resp/reader.ts";
import { concat, encodeReply } from "../../src/resp/writer.ts";
import type { Reply } from "../../src/resp/reply.ts";
import type { ReaderLimits } from "../../src/resp/limits.ts";
import { test } from "../support/test.ts";
import { anyReply, cut } from "./wire.ts";

const encoder = new TextEncoder();

/** What a reader gives, in order, and what it throws in the end; the short way is taken wherever it is open. */
function readAll(chunks: readonly Uint8Array[], way: "short" | "long", limits?: Partial<ReaderLimits>): unknown[] {
  const reader = new Reader(limits);
  const seen: unknown[] = [];
  try {
    for (const chunk of chunks) {
      reader.feed(chunk.slice());
      for (;;) {
        const reply = (way === "short" ? shortly(reader) : undefined) ?? reader.next();
        if (reply === undefined) break;
        seen.push(reply, reader.offset);
      }
    }
  } catch (error) {
    seen.push(String(error));
  }
  return seen;
}

function shortly(reader: Reader): Reply | undefined {
  const bulks = reader.peek();
  if (bulks === undefined) return undefined;
  const { type, count, bounds, bytes } = bulks;
  const value = Array.from({ length: count }, (_, i): Reply => {
    return { type: "bulk-string", value: bytes.slice(bounds[2 * i]!, bounds[2 * i + 1]!) };
  });
  reader.skip();
  return { type, value };
}

function taken(text: string, limits?: Partial<ReaderLimits>): boolean {
  const reader = new Reader(limits);
  reader.feed(encoder.encode(text));
  return reader.peek() !== undefined;
}

const MESSAGE = "$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n";

test("A message that lies whole is recognised, as a push and as an array, of one to four strings", () => {
  const cases: [string, boolean][] = [
    [`>3\r\n${MESSAGE}`, true],
    [`*3\r\n${MESSAGE}`, true],
    [`*3\r\n${MESSAGE}*3\r\n`, true],
    ["*1\r\n$0\r\n\r\n", true],
    [`>4\r\n$1\r\nx\r\n${MESSAGE}`, true],
    [`*5\r\n$1\r\nx\r\n$1\r\nx\r\n${MESSAGE}`, false],
    ["*0\r\n", false],
    ["*-1\r\n", false],
    [`~3\r\n${MESSAGE}`, false],
    ["*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n", false],
    ["*2\r\n$4\r\npong\r\n$-1\r\n", false],
    ["*1\r\n$01\r\nx\r\n", false],
    ["*1\r\n$+1\r\nx\r\n", false],
    ["*1\r\n$1\r\nxy\r\n", false],
    ["*1\r\n$1\nx\r\n", false],
    ["*1\n$1\r\nx\r\n", false],
  ];
  for (const [text, expected] of cases) assertEquals(taken(text), expected, JSON.stringify(text));
});

test("One that is not whole is never recognised, however much of it is there, nor what lies behind the end", () => {
  const whole = encoder.encode(`>3\r\n${MESSAGE}`);
  for (let length = 0; length < whole.length; length++) {
    const reader = new Reader();
    // The rest stands in the same buffer, where it does not count.
    reader.feed(whole.slice().subarray(0, length));
    assertEquals(reader.peek(), undefined, `${length} bytes`);
  }
});

test("Within an unfinished reply, after an attribute and after an error there is nothing to recognise", () => {
  for (const text of ["*2\r\n:1\r\n", "|1\r\n+a\r\n+b\r\n", "?"]) {
    const reader = new Reader();
    reader.feed(encoder.encode(text));
    try {
      reader.next();
    } catch (error) {
      assert(error instanceof Error);
    }
    reader.feed(encoder.encode(`*3\r\n${MESSAGE}`));
    assertEquals(reader.peek(), undefined, text);
  }
});

test("What exceeds a limit is left to the reader, which says so", () => {
  const text = `>3\r\n${MESSAGE}`;
  for (const limits of [{ bulkBytes: 6 }, { elements: 2 }, { depth: 0 }, { lineBytes: 1 }]) {
    assertEquals(taken(text, limits), false, JSON.stringify(limits));
    const chunks = [encoder.encode(text)];
    assertEquals(readAll(chunks, "short", limits), readAll(chunks, "long", limits));
  }
  assertEquals(taken(text, { bulkBytes: 7 }), true);
});

test("Both ways give the same replies at the same offsets, at any boundaries", () => {
  const strings = fc.array(fc.uint8Array({ maxLength: 20 }), { minLength: 1, maxLength: 5 });
  const aggregate = fc.tuple(fc.constantFrom("array" as const, "push" as const), strings).map(
    ([type, values]): Reply => {
      return { type, value: values.map((value): Reply => ({ type: "bulk-string", value })) };
    },
  );
  const replies = fc.array(fc.oneof(aggregate, anyReply), { maxLength: 12 });
  fc.assert(fc.property(replies, fc.array(fc.nat({ max: 400 })), (all, at) => {
    const chunks = cut(concat(all.map((reply) => encodeReply(reply, 3))), at);
    assertEquals(readAll(chunks, "short"), readAll(chunks, "long"));
  }));
});

test("Both ways give the same for damaged bytes: the same replies, then the same error at the same offset", () => {
  const frames = encoder.encode(`>3\r\n${MESSAGE}*3\r\n${MESSAGE}>4\r\n$1\r\nx\r\n${MESSAGE}`);
  const damage = fc.array(fc.tuple(fc.nat({ max: frames.length - 1 }), fc.constantFrom(..."0159$*>:\r\n-?x")), {
    minLength: 1,
    maxLength: 3,
  });
  fc.assert(
    fc.property(damage, fc.array(fc.nat({ max: frames.length })), (damages, at) => {
      const bytes = frames.slice();
      for (const [position, character] of damages) bytes[position] = character.charCodeAt(0);
      const chunks = cut(bytes, at);
      assertEquals(readAll(chunks, "short"), readAll(chunks, "long"));
    }),
    { numRuns: 2_000 },
  );
});
