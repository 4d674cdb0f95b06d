import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { bytes, decoder as platform, json, schema, type StandardResult, text } from "../src/codec.ts";
import { test } from "./support/test.ts";

const encoder = new TextEncoder();
const BOM = Uint8Array.of(0xef, 0xbb, 0xbf);

test("text gives back any text, whatever it starts with", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (value) => {
    assertEquals(text.decode(encoder.encode(value)), value);
  }));
});

test("text keeps a byte order mark", () => {
  assertEquals(text.decode(Uint8Array.of(...BOM, 0x61)), "\ufeffa");
  assertEquals(text.decode(BOM), "\ufeff");
});

test("text shows a byte that is not UTF-8 as U+FFFD", () => {
  assertEquals(text.decode(Uint8Array.of(0x61, 0xff, 0x62)), "a\ufffdb");
});

test("a part of some bytes is decoded as the platform's decoder does it, whatever they are", () => {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const piece = fc.oneof(
    fc.string({ unit: "binary" }).map((text) => encoder.encode(text)),
    fc.uint8Array({ maxLength: 8 }),
    fc.constantFrom([0xef, 0xbb, 0xbf], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xf4, 0x90], [0xc0, 0xaf], [0x61])
      .map((bytes) => Uint8Array.from(bytes)),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.nat(), fc.nat(), (pieces, a, b) => {
      const all = Uint8Array.from(pieces.flatMap((bytes) => [...bytes]));
      const [from, to] = [a % (all.length + 1), b % (all.length + 1)].sort((a, b) => a - b) as [number, number];
      // In the middle of other memory.
      const bytes = Uint8Array.of(0x80, ...all, 0x80).subarray(1, all.length + 1);
      assertEquals(platform.part(bytes, from, to), decoder.decode(all.subarray(from, to)));
    }),
    { numRuns: 2_000 },
  );
});

test("bytes gives the very payload", () => {
  const payload = Uint8Array.of(0, 0xff, 0x0d, 0x0a);
  assertStrictEquals(bytes.decode(payload), payload);
});

test("json gives back any JSON", () => {
  fc.assert(fc.property(fc.json(), (value) => {
    assertEquals(json.decode(encoder.encode(value)), JSON.parse(value));
  }));
});

test("json passes over a byte order mark", () => {
  assertEquals(json.decode<number[]>(Uint8Array.of(...BOM, 0x5b, 0x37, 0x5d)), [7]);
});

const NOT_JSON: readonly (readonly [what: string, payload: Uint8Array])[] = [
  ["nothing", new Uint8Array()],
  ["a word", encoder.encode("hunter2")],
  ["a broken object", encoder.encode('{"password":"hunter2"')],
  ["a string whose bytes are not UTF-8", Uint8Array.of(0x22, 0xff, 0x22)],
];

for (const [what, payload] of NOT_JSON) {
  test(`json refuses ${what}, and does not repeat it`, () => {
    const error = assertThrows(() => json.decode(payload), SyntaxError);
    assertEquals([error.message, error.cause], ["The payload is not JSON", undefined]);
  });
}

function standard<T>(validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>) {
  return schema<T>({ "~standard": { version: 1, validate } });
}

test("a schema gives what its library made of the value", () => {
  const codec = standard((value) => ({ value: new Date(String(value)) }));
  assertEquals(codec.decode(encoder.encode('"2024-02-29T00:00:00Z"')).getTime(), Date.UTC(2024, 1, 29));
});

test("a schema may give a value that is false or undefined", () => {
  assertEquals(standard(() => ({ value: false })).decode(encoder.encode("1")), false);
  assertEquals(standard(() => ({ value: undefined })).decode(encoder.encode("1")), undefined);
});

test("a schema that finds issues throws, and does not repeat the payload in the words of the library", () => {
  const codec = standard((value) => ({ issues: [{ message: `Bad ${value}` }, { message: "Too short" }] }));
  const error = assertThrows(() => codec.decode(encoder.encode('"hunter2"')), TypeError, "does not fit the schema: 2");
  assert(!error.message.includes("hunter2"));
});

test("a schema is not asked about what is not JSON", () => {
  let asked = 0;
  const codec = standard((value) => ({ value: asked++ === 0 ? value : undefined }));
  assertThrows(() => codec.decode(encoder.encode("{")), SyntaxError);
  assertEquals(asked, 0);
});

test("a schema that validates asynchronously is refused, and its late failure is nobody's", async () => {
  const codec = standard(() => Promise.reject(new Error("late")));
  assertThrows(() => codec.decode(encoder.encode("1")), TypeError, "validates asynchronously");
  await Promise.resolve();
});
