/** Short texts that are decoded one by one, as they are on Bun; here on every runtime. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { decoder } from "../../src/codec.ts";
import type { Message } from "../../src/message.ts";
import { LONGEST_SPAN_BYTES, MOST_MESSAGES, Run } from "../../src/run/run.ts";
import { Topic } from "../../src/run/topics.ts";
import { refill } from "../support/run.ts";
import { test } from "../support/test.ts";

const encoder = new TextEncoder();
const alone = new TextDecoder("utf-8", { ignoreBOM: true });
const NEWS = new Topic("channel", "news", undefined);

/** A run whose decoder decodes ASCII of up to four bytes for itself, and what it was called for. */
function shortRun(): { run: Run; calls: { looks: number; decodings: number } } {
  const calls = { looks: 0, decodings: 0 };
  const ascii = {
    isAt(bytes: Uint8Array, from: number, to: number) {
      calls.looks++;
      return bytes.subarray(from, to).every((byte) => byte < 0x80);
    },
    decode(bytes: Uint8Array, from: number, to: number) {
      calls.decodings++;
      return decoder.part(bytes, from, to);
    },
    longestAlone: 4,
  };
  return { run: new Run({ part: decoder.part, ascii }), calls };
}

test("a short text that is ASCII is decoded for itself, where that is faster, and no other", () => {
  const { run, calls } = shortRun();
  const cost = (...payloads: string[]) => {
    calls.decodings = 0;
    refill(run, payloads.map((payload) => encoder.encode(payload)));
    assertEquals(payloads.map((_, i) => run.text(i)), payloads);
    return calls.decodings;
  };
  assertEquals([cost("abcd", "b", "c"), cost("abcde", "b", "c"), cost("", "b"), cost("ä", "b")], [3, 1, 2, 0]);
});

/** Takes all messages of a run as text, as far as each call gives any; by itself where one gives none. */
function manyTexts(run: Run, most: number): string[] {
  const into: Message<string>[] = [];
  for (let i = 0; i < run.count;) {
    const end = run.textsInto(into, i, into.length + most);
    if (end === i) into.push({ ...into[0]!, payload: run.text(i++) });
    else i = end;
  }
  return into.map(({ payload }) => payload);
}

test("a run of short texts is looked at once, and taken in one go, however far apart they are", () => {
  const { run, calls } = shortRun();
  run.begin(new Uint8Array(MOST_MESSAGES * 300).fill(0x61));
  for (let i = 0; i < MOST_MESSAGES; i++) run.add(NEWS, 300 * i, 300 * i + 3);
  assert(run.span > LONGEST_SPAN_BYTES);
  const into: Message<string>[] = [];
  assertEquals(run.textsInto(into, 0, MOST_MESSAGES), MOST_MESSAGES);
  assertEquals(into.map(({ payload }) => payload), new Array(MOST_MESSAGES).fill("aaa"));
  assertEquals(calls, { looks: 1, decodings: MOST_MESSAGES });
});

test("of a run of short texts those for somebody else, and more than are wanted, are left", () => {
  const { run } = shortRun();
  const other = new Topic("channel", "other", undefined);
  other.route = { receiver: undefined, found: 1 };
  run.begin(encoder.encode("abcdef"));
  for (let i = 0; i < 6; i++) run.add(i < 4 ? NEWS : other, i, i + 1);
  const into: Message<string>[] = [];
  assertEquals([run.textsInto(into, 0, 3), run.textsInto(into, 3, 9), run.textsInto(into, 4, 5)], [3, 4, 5]);
  assertEquals(into.map(({ channel, payload }) => `${channel} ${payload}`), [
    "news a",
    "news b",
    "news c",
    "news d",
    "other e",
  ]);
});

const character = fc.constantFrom("a", "\0", "é", "€").map((text) => encoder.encode(text));
const ascii = fc.string({ unit: "binary-ascii", maxLength: 4 }).map((text) => encoder.encode(text));
const payloads = fc.oneof(
  fc.array(ascii, { minLength: 1, maxLength: 12 }),
  fc.array(fc.oneof(ascii, character, fc.uint8Array({ maxLength: 6 })), { minLength: 1, maxLength: 12 }),
);

test("short texts are those of each payload alone, one by one or many, whatever the runs before were", () => {
  fc.assert(
    fc.property(fc.array(payloads, { maxLength: 12, size: "max" }), fc.integer({ min: 1, max: 9 }), (runs, most) => {
      const { run } = shortRun();
      for (const payloads of runs) {
        refill(run, payloads);
        const expected = payloads.map((payload) => alone.decode(payload));
        assertEquals([manyTexts(run, most), payloads.map((_, i) => run.text(i))], [expected, expected]);
        assertEquals(payloads.map((_, i) => run.bytes(i)), payloads);
      }
    }),
  );
});
