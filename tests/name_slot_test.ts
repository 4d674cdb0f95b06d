import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { slotOf, SLOTS } from "../src/name.ts";
import { test } from "./support/test.ts";

const encoder = new TextEncoder();
const slot = (name: string) => slotOf(encoder.encode(name));

/** As a real cluster answers CLUSTER KEYSLOT. */
const KNOWN: readonly (readonly [name: string, slot: number])[] = [
  ["", 0],
  ["123456789", 0x31c3],
  ["foo", 12182],
  ["bar", 5061],
  ["hello", 866],
  ["somekey", 11058],
  ["foo{hash_tag}", 2515],
];

for (const [name, expected] of KNOWN) {
  test(`the slot of ${JSON.stringify(name)} is ${expected}`, () => assertEquals(slot(name), expected));
}

/** The examples of the cluster specification, and the borders between them. */
const TAGS: readonly (readonly [name: string, hashed: string])[] = [
  ["{user1000}.following", "user1000"],
  ["{user1000}.followers", "user1000"],
  ["foo{bar}", "bar"],
  ["foo{{bar}}zap", "{bar"],
  ["foo{bar}{zap}", "bar"],
  ["a}{b}c", "b"],
  ["{{}}", "{"],
];

for (const [name, hashed] of TAGS) {
  test(`of ${name} only ${hashed} counts`, () => assertEquals(slotOf(encoder.encode(name)), untagged(hashed)));
}

for (const name of ["foo{}{bar}", "{}", "foo{bar", "foo}bar{", "{", "}", "}{"]) {
  test(`all of ${name} counts`, () => assertEquals(slot(name), untagged(name)));
}

test("any bytes have a slot, which the table finds as the definition of CRC-16/XMODEM does", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
    const found = slotOf(bytes);
    assert(Number.isInteger(found) && found >= 0 && found < SLOTS);
    if (!bytes.includes(0x7b)) assertEquals(found, crc16(bytes) % 16_384);
  }));
});

function untagged(name: string): number {
  return crc16(encoder.encode(name)) % 16_384;
}

/** Bit by bit, as the definition says. */
function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      const carry = (crc >> 15) ^ ((byte >> bit) & 1);
      crc = ((crc << 1) & 0xffff) ^ (carry === 1 ? 0x1021 : 0);
    }
  }
  return crc;
}
