import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { decoder } from "../../src/codec.ts";
import { LONGEST_SPAN_BYTES, MOST_MESSAGES, Run, SPAN_BYTES, SPAN_PAYLOADS } from "../../src/run/run.ts";
import { Topic } from "../../src/run/topics.ts";
import { fill, message, refill, runOf } from "../support/run.ts";
import { test } from "../support/test.ts";

const encoder = new TextEncoder();
const alone = new TextDecoder("utf-8", { ignoreBOM: true });

function newRun(...payloads: (string | Uint8Array)[]): Run {
  return runOf(payloads.map((payload) => message("news", payload)));
}

function texts(run: Run): string[] {
  return Array.from({ length: run.count }, (_, i) => run.text(i));
}

const NEWS = new Topic("channel", "news", undefined);

test("a run tells the topics and the payloads that it was given, in order, also after another one", () => {
  const run = newRun("a", "", "ccc");
  assertEquals([run.count, run.taken, run.type, run.state], [3, 0, "messages", "flowing"]);
  assertEquals([0, 1, 2].map((i) => run.topic(i).channel), ["news", "news", "news"]);
  assertEquals([[0, 1, 2].map((i) => run.size(i)), texts(run)], [[1, 0, 3], ["a", "", "ccc"]]);
  run.taken = 3;
  const sport = message("sport", "d", "s*");
  fill(run, [sport, message("news", "ee")]);
  assertEquals([run.count, run.taken, texts(run)], [2, 0, ["d", "ee"]]);
  assertEquals([run.topic(0).kind, run.topic(0).pattern, run.topic(1).kind], ["pattern", "s*", "channel"]);
});

test("a run that is begun anew still knows whether it is halted", () => {
  const run = newRun("a");
  run.state = "halted";
  refill(run, [encoder.encode("b")]);
  assertEquals(run.state, "halted");
});

test("a payload to look at shows the bytes where they are", () => {
  const bytes = encoder.encode("..abc..");
  const run = new Run();
  run.begin(bytes);
  run.add(NEWS, 2, 5);
  const view = run.view(0);
  bytes[2] = 0x78;
  assertEquals([new TextDecoder().decode(view), view.buffer === bytes.buffer], ["xbc", true]);
});

const character = fc.constantFrom(
  "a",
  "\0",
  "\x7f",
  "é",
  "߿",
  "ࠀ",
  "€",
  "\uffff",
  "𐀀",
  "\u{10ffff}",
  "\ufeff",
  "\ufffd",
);
const piece = fc.oneof(
  { weight: 6, arbitrary: character.map((text) => encoder.encode(text)) },
  // Bytes that are not UTF-8: alone, cut off, too long, surrogates, and behind them what would go on with a character.
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      [0xff],
      [0x80],
      [0xc3],
      [0xe2, 0x82],
      [0xf0, 0x90, 0x80],
      [0xc0, 0x80],
      [0xed, 0xa0, 0x80],
      [0xf5, 0x80],
    ).map((bytes) => Uint8Array.from(bytes)),
  },
);
const ascii = fc.string({ unit: "binary-ascii", maxLength: 30 }).map((text) => encoder.encode(text));
const odd = fc.array(piece, { maxLength: 6 }).map((pieces) => Uint8Array.from(pieces.flatMap((bytes) => [...bytes])));
/** Bytes of which each becomes one character: so the lengths agree, though it is not ASCII. */
const replaced = fc.array(fc.constantFrom(0x61, 0xff, 0xf5, 0xc0), { maxLength: 8 }).map((bytes) =>
  Uint8Array.from(bytes)
);
const payloads = fc.oneof(
  { weight: 3, arbitrary: fc.array(ascii, { minLength: 1, maxLength: 12 }) },
  { weight: 3, arbitrary: fc.array(fc.oneof(ascii, odd, replaced), { minLength: 1, maxLength: 12 }) },
  { weight: 1, arbitrary: fc.array(replaced, { minLength: 1, maxLength: 12 }) },
);

test("text and bytes are those of each payload alone, whatever its neighbours and the runs before were", () => {
  fc.assert(
    fc.property(fc.array(payloads, { maxLength: 12, size: "max" }), fc.nat(), (runs, order) => {
      const run = new Run();
      for (const payloads of runs) {
        refill(run, payloads);
        const expected = payloads.map((payload) => alone.decode(payload));
        // In any order, and again: whoever asks first pays.
        for (let i = 0; i < 2 * payloads.length; i++) {
          const at = (i * 7 + order) % payloads.length;
          assertEquals(run.text(at), expected[at]);
        }
        assertEquals(texts(run), expected);
        assertEquals(payloads.map((_, i) => run.bytes(i)), payloads);
      }
    }),
    { numRuns: 400 },
  );
});

test("a character of several bytes is whole at every place of a run", () => {
  for (const odd of ["é", "€", "𝄞", "\ufeff"]) {
    for (let at = 0; at < 5; at++) {
      const payloads = Array.from({ length: 5 }, (_, i) => i === at ? `<${odd}>` : `ascii ${i}`);
      assertEquals(texts(newRun(...payloads)), payloads);
    }
  }
});

test("a byte order mark is text like any other", () => {
  assertEquals(texts(newRun("\ufeff", "\ufeffa", "a\ufeff")), ["\ufeff", "\ufeffa", "a\ufeff"]);
  assertEquals(texts(newRun("\ufeffa")), ["\ufeffa"]);
});

test("a byte that is not UTF-8 is U+FFFD, also where the lengths agree, and takes nothing from its neighbours", () => {
  const cut = Uint8Array.of(0x61, 0xe2, 0x82);
  assertEquals(texts(newRun(Uint8Array.of(0xff, 0x62), "c", Uint8Array.of(0xc0))), ["\ufffdb", "c", "\ufffd"]);
  assertEquals(texts(newRun(cut, "b", cut)), ["a\ufffd", "b", "a\ufffd"]);
  assertEquals(texts(newRun(cut)), ["a\ufffd"]);
});

/** A run that counts how often it decodes. */
function countingRun(): { readonly run: Run; decodings(body: () => void): number } {
  let count = 0;
  const part: typeof decoder.part = (bytes, from, to) => {
    count++;
    return decoder.part(bytes, from, to);
  };
  const run = new Run({ part });
  return {
    run,
    decodings(body) {
      count = 0;
      body();
      return count;
    },
  };
}

test("ASCII is decoded once for a run, other text once for each, and what turns ASCII again is decoded once again", () => {
  const { run, decodings } = countingRun();
  const cost = (...payloads: string[]) => {
    refill(run, payloads.map((payload) => encoder.encode(payload)));
    return decodings(() => assertEquals(texts(run), payloads));
  };
  const ASCII = ["1", "2", "3", "4"];
  const MIXED = ["1", "zwölf", "3", "4"];
  const costs = (payloads: readonly string[], count: number) => Array.from({ length: count }, () => cost(...payloads));
  assertEquals(costs(ASCII, 3), [1, 1, 1]);
  // One attempt, then four; then it is tried again after 1 run, after 2, after 4, and so on.
  assertEquals(costs(MIXED, 8), [5, 4, 5, 4, 4, 5, 4, 4]);
  const before = costs(MIXED, 1_000);
  const attempts = before.flatMap((cost, i) => cost === 5 ? [i] : []);
  assertEquals(attempts.slice(-4).map((at, i, all) => i === 0 ? 0 : at - all[i - 1]!), [0, 65, 65, 65]);
  const after = costs(ASCII, 70);
  const turned = after.indexOf(1);
  assert(turned >= 0 && turned <= 64, `It was decoded apart for ${turned} runs`);
  assertEquals([after.slice(0, turned).every((cost) => cost === 4), after.slice(turned).every((cost) => cost === 1)], [
    true,
    true,
  ]);
  // And one odd run among many costs two, not 64.
  assertEquals([...costs(MIXED, 1), ...costs(ASCII, 3)], [5, 4, 1, 1]);
});

test("a message alone is decoded once, whatever it holds, and counts for no other", () => {
  const { run, decodings } = countingRun();
  for (const payload of ["straße", "plain", "€", "\ufffd"]) {
    refill(run, [encoder.encode(payload)]);
    assertEquals(decodings(() => assertEquals(texts(run), [payload])), 1);
  }
  const two = (...payloads: [string, string]) => {
    refill(run, payloads.map((text) => encoder.encode(text)));
    return decodings(() => assertEquals(texts(run), payloads));
  };
  assertEquals(two("a", "b"), 1);
  assertEquals(two("ä", "b"), 3);
  refill(run, [encoder.encode("ö")]);
  assertEquals(decodings(() => assertEquals([run.text(0), run.text(0)], ["ö", "ö"])), 1);
  assertEquals([two("ä", "b"), two("ä", "b")], [2, 3]);
});

test("text that nobody asks for is not decoded", () => {
  const { run, decodings } = countingRun();
  refill(run, ["a", "b"].map((text) => encoder.encode(text)));
  assertEquals(decodings(() => void run.bytes(0)), 0);
});

test("bytes to be kept stay what they were when the memory is written to again, and when the next run begins", () => {
  for (const payloads of [["abc"], ["abc", "", "defg"]]) {
    const run = newRun(...payloads);
    const memory = new Uint8Array(run.view(0).buffer);
    const kept = payloads.map((_, i) => run.bytes(i));
    memory.fill(0x78);
    refill(run, payloads.map(() => encoder.encode("later")));
    texts(run);
    run.bytes(0);
    assertEquals(kept, payloads.map((payload) => encoder.encode(payload)));
    for (const bytes of kept) assert(bytes.buffer !== memory.buffer && bytes.buffer === kept[0]!.buffer);
  }
});

test("a payload alone has a buffer of its own, as long as it is", () => {
  for (const size of [0, 1, 10, 100, SPAN_BYTES, 100_000]) {
    const bytes = newRun("x".repeat(size)).bytes(0);
    assertEquals([bytes.length, bytes.byteOffset, bytes.buffer.byteLength], [size, 0, size]);
  }
});

test("a payload alone is a view of memory that is kept, where that is not much more; of any other it is a copy", () => {
  for (const size of [10, 1_000, 100_000]) {
    const largest = Math.max(SPAN_BYTES, SPAN_PAYLOADS * size);
    for (const length of [size, largest, largest + 1]) {
      const bytes = new Uint8Array(length).map((_, i) => i);
      for (const memory of ["kept", "reused"] as const) {
        const run = new Run();
        run.begin(bytes.subarray(length - size), memory);
        run.add(NEWS, 1, size);
        const payload = run.bytes(0);
        assertEquals(payload, bytes.subarray(length - size + 1));
        const isView = memory === "kept" && length <= Math.max(SPAN_BYTES, SPAN_PAYLOADS * (size - 1));
        assertEquals(payload.buffer === bytes.buffer, isView, `${size} of ${length}, ${memory}`);
      }
    }
  }
});

test("a message that is held is a view of the payload that was given", () => {
  const payload = encoder.encode("own");
  const run = new Run();
  run.hold(NEWS, payload);
  assertStrictEquals(run.bytes(0).buffer, payload.buffer);
});

/** How many bytes a payload of this size may keep from being freed. */
function most(size: number): number {
  return Math.max(SPAN_BYTES, Math.min(SPAN_PAYLOADS * size, LONGEST_SPAN_BYTES));
}

/** What a run took of payloads of these sizes, each so many bytes behind the one before it. */
function taken(sizes: readonly number[], between = 7): Run {
  const run = new Run();
  run.begin(new Uint8Array(sizes.reduce((sum, size) => sum + size + between, 0)));
  let at = 0;
  for (const size of sizes) {
    if (!run.add(NEWS, at + between, at + between + size)) break;
    at += between + size;
  }
  return run;
}

/** The sizes of the groups of a run, and how many bytes each keeps. */
function groupsOf(run: Run): { readonly count: number; readonly keeps: number }[] {
  const groups: { count: number; keeps: number }[] = [];
  let last: ArrayBufferLike | undefined;
  for (let i = 0; i < run.count; i++) {
    const { buffer } = run.bytes(i);
    if (buffer !== last) groups.push({ count: 0, keeps: buffer.byteLength });
    groups.at(-1)!.count++;
    last = buffer;
  }
  return groups;
}

test("a group ends where a payload of it, kept alone, would keep too much, and not before", () => {
  const size = fc.oneof(
    { weight: 4, arbitrary: fc.nat({ max: 40 }) },
    { weight: 2, arbitrary: fc.nat({ max: 3_000 }) },
    { weight: 1, arbitrary: fc.nat({ max: 20_000 }) },
  );
  fc.assert(
    fc.property(
      fc.array(size, { minLength: 1, maxLength: 400, size: "max" }),
      fc.nat({ max: 60 }),
      (sizes, between) => {
        const run = taken(sizes, between);
        assertEquals(run.count, Math.min(sizes.length, MOST_MESSAGES));
        let from = 0;
        for (const { count, keeps } of groupsOf(run)) {
          const group = (count: number) => sizes.slice(from, from + count);
          const span = (count: number) => group(count).reduce((sum, size) => sum + size + between, -between);
          const allowed = (count: number) => count === 1 || span(count) <= most(Math.min(...group(count)));
          assert(allowed(count), `${count} messages`);
          if (from + count < run.count) assert(!allowed(count + 1), `Only ${count} messages`);
          assertEquals(keeps, span(count));
          from += count;
        }
      },
    ),
    { numRuns: 200 },
  );
});

test("a payload that the group has no room for is in the next one", () => {
  assertEquals(groupsOf(taken([10, SPAN_BYTES, 10, 20], 0)), [
    { count: 1, keeps: 10 },
    { count: 1, keeps: SPAN_BYTES },
    { count: 2, keeps: 30 },
  ]);
});

test("text of a group is decoded with its first, and that of a group that is passed over is not", () => {
  const { run, decodings } = countingRun();
  const payloads = ["a", "b", "c"].map((letter) => encoder.encode(letter.repeat(3_000)));
  refill(run, [encoder.encode("short"), ...payloads, encoder.encode("end")]);
  assertEquals(decodings(() => assertEquals([run.text(0), run.text(4)], ["short", "end"])), 2);
  assertEquals(decodings(() => assertEquals([run.text(4), run.text(1)], ["end", "a".repeat(3_000)])), 1);
  assertEquals(decodings(() => assertEquals([run.text(2), run.text(3)].map((text) => text[0]), ["b", "c"])), 0);
});

test("the most messages are 256, however short they are", () => {
  assertEquals([taken(new Array(300).fill(0), 0).count, MOST_MESSAGES], [256, 256]);
});

test("a run tells how much it spans", () => {
  assertEquals([taken([5]).span, taken([5, 6, 7]).span], [5, 32]);
});

test("a group that ended because of a short payload does not make the next one shorter", () => {
  const long = new Array(SPAN_PAYLOADS).fill(1_000);
  assertEquals(groupsOf(taken([1_000, 1_000, 10, ...long], 0)).map(({ count }) => count), [5, SPAN_PAYLOADS - 2]);
});
