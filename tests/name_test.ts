import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  canonicalName,
  canonicalNames,
  decodeName,
  encodeName,
  isPrivate,
  type Name,
  privateChannel,
} from "../src/name.ts";
import { test } from "./support/test.ts";

const encoder = new TextEncoder();

/** Bytes near the borders of UTF-8, which arrays of any bytes rarely meet. */
const near = fc.array(
  fc.constantFrom(0x00, 0x41, 0x7f, 0x80, 0xa0, 0xbf, 0xc0, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff),
  { maxLength: 8 },
).map((values) => Uint8Array.from(values));
const anyBytes = fc.oneof(
  near,
  fc.uint8Array({ maxLength: 40 }),
  fc.string({ unit: "binary" }).map(encoder.encode.bind(encoder)),
);

test("any bytes come back from the string that stands for them", () => {
  fc.assert(
    fc.property(anyBytes, (bytes) => assertEquals([...encodeName(decodeName(bytes))], [...bytes])),
    { numRuns: 2_000 },
  );
});

test("different bytes are different strings", () => {
  fc.assert(
    fc.property(anyBytes, anyBytes, (a, b) => {
      assertEquals(decodeName(a) === decodeName(b), a.length === b.length && a.every((byte, i) => byte === b[i]));
    }),
    { numRuns: 1_000 },
  );
});

test("a well-formed text stands for its UTF-8", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (name) => {
    assertEquals([...encodeName(name)], [...encoder.encode(name)]);
    assertEquals(decodeName(encoder.encode(name)), name);
    assertEquals(canonicalName(name), name);
  }));
});

test("names in either form that are equal bytes are one canonical string", () => {
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      // Each byte escaped by itself is the longest way to write a name.
      const escaped = Array.from(bytes, (byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)).join("");
      assertEquals(canonicalName(escaped), canonicalName(bytes));
      assertEquals([...new Set(canonicalNames([escaped, bytes, bytes.slice()]))], [canonicalName(bytes)]);
    }),
    { numRuns: 1_000 },
  );
});

const STRINGS: readonly (readonly [what: string, bytes: readonly number[], name: string])[] = [
  ["no byte", [], ""],
  ["plain text", [0x61, 0x62], "ab"],
  ["a byte order mark, which is kept", [0xef, 0xbb, 0xbf, 0x61], "\ufeffa"],
  ["four bytes of UTF-8", [0xf0, 0x9f, 0x91, 0x82], "\u{1f442}"],
  ["a stray continuation byte", [0x61, 0x80], "a\udc80"],
  ["the byte 0xff", [0xff], "\udcff"],
  ["a character that is cut short", [0xe2, 0x82], "\udce2\udc82"],
  ["a character after one that is cut short", [0xe2, 0xc3, 0xa9], "\udce2é"],
  ["an overlong slash", [0xc0, 0xaf], "\udcc0\udcaf"],
  ["a surrogate in UTF-8", [0xed, 0xb2, 0x80], "\udced\udcb2\udc80"],
  ["a point beyond U+10FFFF", [0xf4, 0x90, 0x80, 0x80], "\udcf4\udc90\udc80\udc80"],
];

for (const [what, bytes, name] of STRINGS) {
  test(`the name of ${what} is ${JSON.stringify(name)}`, () => {
    assertEquals(decodeName(Uint8Array.from(bytes)), name);
    assertEquals([...encodeName(name)], bytes);
  });
}

for (const name of ["\ud800", "a\udfff", "\udc7f", "\udd00", "\udc80\ud800"]) {
  test(`the lone surrogate in ${JSON.stringify(name)} stands for no byte`, () => {
    assertThrows(() => encodeName(name), TypeError, "must not hold a lone surrogate");
    assertThrows(() => canonicalName(name), TypeError, "must not hold a lone surrogate");
  });
}

test("a surrogate pair is never taken for escaped bytes", () => {
  assertEquals([...encodeName("\ud83d\udc82\udc82")], [0xf0, 0x9f, 0x92, 0x82, 0x82]);
});

test("names are listed in the order given, also a single one", () => {
  assertEquals(canonicalNames("b"), ["b"]);
  assertEquals(canonicalNames(Uint8Array.of(0x62)), ["b"]);
  assertEquals(canonicalNames(["b", "a", Uint8Array.of(0x62), "a", "c"]), ["b", "a", "b", "a", "c"]);
  assertEquals(canonicalNames([]), []);
});

for (const wrong of [undefined, null, 7, {}, new Set(["a"]), [undefined]]) {
  test(`names must not be ${Array.isArray(wrong) ? "a list of undefined" : Object.prototype.toString.call(wrong)}`, () => {
    assertThrows(() => canonicalNames(wrong as unknown as Name), TypeError, "must be a string or a Uint8Array");
  });
}

for (const wrong of [undefined, null, 7, {}]) {
  test(`a name must not be ${JSON.stringify(wrong)}`, () => {
    const name = wrong as unknown as Name;
    const error = assertThrows(
      () => canonicalName(name),
      TypeError,
      `must be a string or a Uint8Array: ${typeof wrong}`,
    );
    assert(error instanceof TypeError);
  });
}

test("a private channel is told from all others", () => {
  const channel = privateChannel("x");
  assertEquals([channel, isPrivate(channel)], ["earshot:private:x", true]);
  for (const name of ["", "x", "earshot:", "my earshot:private:x"]) assertEquals(isPrivate(name), false);
});
