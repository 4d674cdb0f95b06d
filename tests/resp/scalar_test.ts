import { assertEquals } from "@std/assert";
import { ABSENT, escapeBytes, MALFORMED, readLength, readScalar, readText, STREAMED } from "../../src/resp/scalar.ts";
import { test } from "../support/test.ts";

const encoder = new TextEncoder();

/** The line with junk around it: only what is between counts. */
function line(text: string): [bytes: Uint8Array, from: number, to: number] {
  const bytes = encoder.encode(`9${text}9`);
  return [bytes, 1, bytes.length - 1];
}

function valueOf(type: string, text: string): unknown {
  return readScalar(type.charCodeAt(0), ...line(text))?.value;
}

test("A length is a decimal, absent, streamed or malformed", () => {
  const cases: [string, number][] = [
    ["0", 0],
    ["7", 7],
    ["536870912", 536_870_912],
    ["-1", ABSENT],
    ["?", STREAMED],
    ["", MALFORMED],
    ["-2", MALFORMED],
    ["-", MALFORMED],
    ["+5", MALFORMED],
    ["05", MALFORMED],
    ["5 ", MALFORMED],
    ["??", MALFORMED],
    ["0x5", MALFORMED],
  ];
  for (const [text, length] of cases) assertEquals(readLength(...line(text)), length, text);
});

test("A scalar is read to its value, and what is none is undefined", () => {
  const cases: [string, string, unknown][] = [
    [":", "0", 0],
    [":", "-0", 0],
    [":", "+12", 12],
    [":", "-12", -12],
    [":", "9007199254740991", 9007199254740991],
    [":", "9007199254740992", 9007199254740992n],
    [":", "9223372036854775807", 9223372036854775807n],
    [":", "-9223372036854775808", -9223372036854775808n],
    [":", "9223372036854775808", undefined],
    [":", "1e3", undefined],
    [":", "", undefined],
    [",", "1.5", 1.5],
    [",", "-1e-3", -0.001],
    [",", "inf", Infinity],
    [",", "-inf", -Infinity],
    [",", "nan", NaN],
    [",", "infinite", undefined],
    [",", "0x10", undefined],
    ["(", "-3492890328409238509324850943850943825024385", -3492890328409238509324850943850943825024385n],
    ["(", "1.5", undefined],
    ["#", "t", true],
    ["#", "f", false],
    ["#", "true", undefined],
    ["_", "", null],
    ["_", "0", undefined],
    ["+", "OK", "OK"],
    ["-", "ERR no", "ERR no"],
  ];
  for (const [type, text, value] of cases) assertEquals(valueOf(type, text), value, `${type}${text}`);
});

test("A text keeps its byte-order mark, and what is not UTF-8 becomes U+FFFD", () => {
  assertEquals(readText(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61, 0xff), 0, 5), "\ufeffa\ufffd");
});

test("Escaped bytes fit in one line of ASCII", () => {
  const bytes = Uint8Array.of(0x61, 0x0d, 0x0a, 0x22, 0x5c, 0x00, 0x7f, 0xff);
  assertEquals(escapeBytes(bytes, 0, bytes.length), 'a\\r\\n\\"\\\\\\x00\\x7f\\xff');
});
