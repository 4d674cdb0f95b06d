import { assert, assertEquals, assertStrictEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.ts";
import { Reader, type ReaderLimits } from "../../src/resp/reader.ts";
import type { Reply } from "../../src/resp/reply.ts";
import { encodeReply } from "../../src/resp/writer.ts";
import { test } from "../support/test.ts";
import { anyReply, bytes, cut, latin1, readChunks, singleBytes } from "./wire.ts";

const simple = (value: string): Reply => ({ type: "simple-string", value });
const integer = (value: number | bigint): Reply => ({ type: "integer", value });
const bulk = (text: string): Reply => ({ type: "bulk-string", value: bytes(text) });
const array = (...value: Reply[]): Reply => ({ type: "array", value });
const set = (...value: Reply[]): Reply => ({ type: "set", value });
const push = (...value: Reply[]): Reply => ({ type: "push", value });
const map = (...value: [Reply, Reply][]): Reply => ({ type: "map", value });
const double = (value: number): Reply => ({ type: "double", value });
const big = (value: bigint): Reply => ({ type: "big-number", value });
const nil: Reply = { type: "null", value: null };

const EXAMPLES: readonly (readonly [wire: string, replies: Reply[]])[] = [
  ["+OK\r\n", [simple("OK")]],
  ["+\r\n", [simple("")]],
  ["+caf\xc3\xa9\r\n", [simple("café")]],
  ["+\xef\xbb\xbfa\xff\r\n", [simple("\ufeffa\ufffd")]],
  ["-ERR no\r\n", [{ type: "simple-error", value: "ERR no" }]],
  ["!8\r\nERR a\r\nb\r\n", [{ type: "bulk-error", value: "ERR a\r\nb" }]],
  ["!0\r\n\r\n", [{ type: "bulk-error", value: "" }]],
  [":0\r\n", [integer(0)]],
  [":-0\r\n", [integer(0)]],
  [":+5\r\n", [integer(5)]],
  [":-1234\r\n", [integer(-1234)]],
  [":999999999999999\r\n", [integer(999999999999999)]],
  [":9007199254740991\r\n", [integer(Number.MAX_SAFE_INTEGER)]],
  [":9007199254740992\r\n", [integer(9007199254740992n)]],
  [":+9223372036854775807\r\n", [integer(9223372036854775807n)]],
  [":-9223372036854775808\r\n", [integer(-9223372036854775808n)]],
  ["$5\r\nhello\r\n", [bulk("hello")]],
  ["$0\r\n\r\n", [bulk("")]],
  ["$4\r\n\r\n\x00\xff\r\n", [bulk("\r\n\x00\xff")]],
  ["_\r\n", [nil]],
  ["$-1\r\n", [nil]],
  ["*-1\r\n", [nil]],
  [",3.25\r\n", [double(3.25)]],
  [",10\r\n", [double(10)]],
  [",-0\r\n", [double(-0)]],
  [",+1.5E-3\r\n", [double(0.0015)]],
  [",1e+21\r\n", [double(1e21)]],
  [",inf\r\n,-inf\r\n,+inf\r\n", [double(Infinity), double(-Infinity), double(Infinity)]],
  [",nan\r\n,-nan\r\n", [double(NaN), double(NaN)]],
  ["#t\r\n#f\r\n", [{ type: "boolean", value: true }, { type: "boolean", value: false }]],
  ["(3492890328409238509324850943850943825024385\r\n", [big(3492890328409238509324850943850943825024385n)]],
  ["(-7\r\n(+7\r\n(0\r\n", [big(-7n), big(7n), big(0n)]],
  ["=15\r\ntxt:Some string\r\n", [{ type: "verbatim-string", format: "txt", value: bytes("Some string") }]],
  ["=4\r\nmkd:\r\n", [{ type: "verbatim-string", format: "mkd", value: bytes("") }]],
  ["*0\r\n", [array()]],
  ["*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n", [array(bulk("message"), bulk("news"), bulk("hi"))]],
  ["*3\r\n$-1\r\n*-1\r\n_\r\n", [array(nil, nil, nil)]],
  ["*2\r\n*0\r\n*2\r\n:1\r\n*1\r\n+x\r\n", [array(array(), array(integer(1), array(simple("x"))))]],
  ["~2\r\n+a\r\n+a\r\n~0\r\n", [set(simple("a"), simple("a")), set()]],
  ["%2\r\n+a\r\n:1\r\n*1\r\n:2\r\n%0\r\n", [map([simple("a"), integer(1)], [array(integer(2)), map()])]],
  [">2\r\n$4\r\npong\r\n$0\r\n\r\n", [push(bulk("pong"), bulk(""))]],
  ["+a\r\n>1\r\n+p\r\n+b\r\n", [simple("a"), push(simple("p")), simple("b")]],
  ["$?\r\n;4\r\nHell\r\n;7\r\no wor\r\n\r\n;1\r\nd\r\n;0\r\n+x\r\n", [bulk("Hello wor\r\nd"), simple("x")]],
  ["$?\r\n;0\r\n", [bulk("")]],
  ["*1\r\n$?\r\n;1\r\na\r\n;0\r\n", [array(bulk("a"))]],
  ["*?\r\n:1\r\n*?\r\n.\r\n:2\r\n.\r\n", [array(integer(1), array(), integer(2))]],
  ["~?\r\n:1\r\n.\r\n", [set(integer(1))]],
  ["%?\r\n+a\r\n:1\r\n+b\r\n:2\r\n.\r\n", [map([simple("a"), integer(1)], [simple("b"), integer(2)])]],
  [">?\r\n+a\r\n$?\r\n;1\r\nb\r\n;0\r\n.\r\n", [push(simple("a"), bulk("b"))]],
  ["*1\r\n*?\r\n*1\r\n+a\r\n.\r\n", [array(array(array(simple("a"))))]],
  ["|1\r\n+ttl\r\n:3\r\n:7\r\n:8\r\n", [{ ...integer(7), attributes: [[simple("ttl"), integer(3)]] }, integer(8)]],
  ["*2\r\n:1\r\n|1\r\n+k\r\n+v\r\n:2\r\n", [
    array(integer(1), { ...integer(2), attributes: [[simple("k"), simple("v")]] }),
  ]],
  ["|1\r\n+k\r\n+v\r\n*1\r\n:1\r\n", [{ ...array(integer(1)), attributes: [[simple("k"), simple("v")]] }]],
  ["|1\r\n+k\r\n+v\r\n*0\r\n", [{ ...array(), attributes: [[simple("k"), simple("v")]] }]],
  ["|1\r\n+k\r\n+v\r\n*?\r\n:1\r\n.\r\n", [{ ...array(integer(1)), attributes: [[simple("k"), simple("v")]] }]],
  ["|1\r\n+k\r\n+v\r\n$-1\r\n", [{ ...nil, attributes: [[simple("k"), simple("v")]] }]],
  ["|1\r\n+k\r\n+v\r\n>1\r\n+p\r\n", [{ ...push(simple("p")), attributes: [[simple("k"), simple("v")]] }]],
  ["|1\r\n+k\r\n+v\r\n$?\r\n;1\r\na\r\n;0\r\n", [{ ...bulk("a"), attributes: [[simple("k"), simple("v")]] }]],
  ["|1\r\n|1\r\n+x\r\n+y\r\n+k\r\n+v\r\n:1\r\n", [
    { ...integer(1), attributes: [[{ ...simple("k"), attributes: [[simple("x"), simple("y")]] }, simple("v")]] },
  ]],
  ["|1\r\n+k\r\n+v\r\n|?\r\n+x\r\n+y\r\n.\r\n:1\r\n", [
    { ...integer(1), attributes: [[simple("k"), simple("v")], [simple("x"), simple("y")]] },
  ]],
  ["|0\r\n:1\r\n|?\r\n.\r\n:2\r\n", [integer(1), integer(2)]],
];

for (const [wire, replies] of EXAMPLES) {
  test(`${JSON.stringify(wire)} reads the same whole, cut anywhere and byte by byte`, () => {
    const input = bytes(wire);
    const expected = { replies, error: undefined, offset: input.length };
    assertEquals(readChunks([input.slice()]), expected);
    assertEquals(readChunks(singleBytes(input)), expected);
    for (let at = 0; at <= input.length; at++) assertEquals(readChunks(cut(input, [at])), expected);
  });
}

interface Refusal {
  readonly wire: string;
  readonly message: string;
  readonly offset?: number;
  readonly excerpt: string;
  readonly limits?: Partial<ReaderLimits>;
}

const REFUSALS: readonly Refusal[] = [
  { wire: "HTTP/1.1 400 Bad Request\r\n", message: "Unknown type", excerpt: "HTTP/1.1 400 Bad" },
  { wire: '+OK\r\n\x00\x7f"\\\r\n', message: "Unknown type", offset: 5, excerpt: '\\x00\\x7f\\"\\\\\\r\\n' },
  { wire: "\r\n", message: "Unknown type", excerpt: "\\r\\n" },
  { wire: ";1\r\na\r\n", message: "Unknown type", excerpt: ";1\\r\\n" },
  ...["$-2", "$", "$x", "$+5", "$05", "$00", "$-0", "$ 1", "$1 ", "$1x", "$--1", "$-10", "$-", "$??"],
  ...["*-2", "*x", "*+1", "*01", "*", "~-1", "%-1", ">-1", "|-1", "=-1", "!-1", "=?", "!?"],
].map((row) =>
  typeof row === "string" ? { wire: `${row}\r\n`, message: "Malformed length", excerpt: `${row}\\r\\n` } : row
);

const VALUE_REFUSALS: readonly Refusal[] = [
  ...[
    ":",
    ":+",
    ":-",
    ":1x",
    ":007",
    ":-01",
    ":1.5",
    ": 1",
    ":+-1",
    ":/",
    "::",
    "_x",
    "#",
    "#x",
    "#tt",
    "(",
    "(1.5",
    "(-",
  ],
  ...[":9223372036854775808", ":-9223372036854775809", ":123456789012345678901"],
  ...[",", ",.5", ",1.", ",1e", ",0x10", ",1,5", ",infinity", ",na", ", 1"],
].map((line) => ({ wire: `${line}\r\n`, message: "Malformed value", excerpt: `${line}\\r\\n`.slice(0, 16) }));

const SHAPE_REFUSALS: readonly Refusal[] = [
  { wire: "+OK\n", message: "Line without CR LF", offset: 3, excerpt: "\\n" },
  { wire: "+a\rb\r\n", message: "Line without CR LF", offset: 2, excerpt: "\\rb" },
  { wire: "$3\r\r\nabc\r\n", message: "Line without CR LF", offset: 2, excerpt: "\\r\\r" },
  { wire: "$3\r\nsecret\r\n", message: "String without CR LF", offset: 7, excerpt: "r" },
  { wire: "$3\r\nabc\rsecret", message: "String without CR LF", offset: 7, excerpt: "\\rs" },
  { wire: "$0\r\n+OK\r\n", message: "String without CR LF", offset: 4, excerpt: "+" },
  { wire: "=3\r\ntxt\r\n", message: "Verbatim string without a format", excerpt: "=3\\r\\n" },
  { wire: "*1\r\n=6\r\nsecret\r\n", message: "Verbatim string without a format", offset: 11, excerpt: "r" },
  { wire: "$?\r\n$1\r\na\r\n", message: "Something else in a streamed string", offset: 4, excerpt: "$1\\r\\n" },
  { wire: "$?\r\n.\r\n", message: "Something else in a streamed string", offset: 4, excerpt: ".\\r\\n" },
  { wire: "$?\r\n;-1\r\n", message: "Malformed length", offset: 4, excerpt: ";-1\\r\\n" },
  { wire: "$?\r\n;?\r\n", message: "Malformed length", offset: 4, excerpt: ";?\\r\\n" },
  { wire: "$?\r\n;2\r\nabcd\r\n", message: "String without CR LF", offset: 10, excerpt: "c" },
  { wire: ".\r\n", message: "End of nothing that streams", excerpt: ".\\r\\n" },
  { wire: "*2\r\n:1\r\n.\r\n", message: "End of nothing that streams", offset: 8, excerpt: ".\\r\\n" },
  { wire: "*?\r\n.x\r\n", message: "End of nothing that streams", offset: 4, excerpt: ".x\\r\\n" },
  { wire: "%?\r\n+a\r\n.\r\n", message: "Key without a value", offset: 8, excerpt: ".\\r\\n" },
  { wire: "|?\r\n+a\r\n.\r\n", message: "Key without a value", offset: 8, excerpt: ".\\r\\n" },
  { wire: "*?\r\n|1\r\n+a\r\n+b\r\n.\r\n", message: "Attribute without a value", offset: 16, excerpt: ".\\r\\n" },
  { wire: "*1\r\n>1\r\n+a\r\n", message: "Push inside another reply", offset: 4, excerpt: ">1\\r\\n" },
  { wire: "*?\r\n>0\r\n", message: "Push inside another reply", offset: 4, excerpt: ">0\\r\\n" },
  { wire: "|1\r\n>1\r\n", message: "Push inside another reply", offset: 4, excerpt: ">1\\r\\n" },
];

const string = { bulkBytes: 4 };
const elements = { elements: 4 };
const depth = { depth: 2 };
const line = { lineBytes: 4 };
const LIMIT_REFUSALS: readonly Refusal[] = [
  { wire: "$5\r\n", limits: string, message: "String longer than 4 bytes", excerpt: "$5\\r\\n" },
  { wire: "=5\r\n", limits: string, message: "String longer than 4 bytes", excerpt: "=5\\r\\n" },
  { wire: "$536870913\r\n", message: "String longer than 536870912 bytes", excerpt: "$536870913\\r\\n" },
  { wire: `$${"9".repeat(60)}\r\n`, message: "String longer than 536870912 bytes", excerpt: "$999999999999999" },
  {
    wire: "$?\r\n;3\r\nabc\r\n;2\r\n",
    limits: string,
    message: "String longer than 4",
    offset: 13,
    excerpt: ";2\\r\\n",
  },
  { wire: "!65537\r\n", message: "String longer than 65536 bytes", excerpt: "!65537\\r\\n" },
  { wire: "*5\r\n", limits: elements, message: "Reply of more than 4 elements", excerpt: "*5\\r\\n" },
  { wire: "%3\r\n", limits: elements, message: "Reply of more than 4 elements", excerpt: "%3\\r\\n" },
  { wire: "*2\r\n:1\r\n*3\r\n", limits: elements, message: "more than 4 elements", offset: 8, excerpt: "*3\\r\\n" },
  { wire: "*?\r\n_\r\n_\r\n_\r\n_\r\n_\r\n", limits: elements, message: "more than 4", offset: 16, excerpt: "_\\r\\n" },
  { wire: "|0\r\n".repeat(5), limits: elements, message: "more than 4 elements", offset: 16, excerpt: "|0\\r\\n" },
  { wire: "*1048577\r\n", message: "Reply of more than 1048576 elements", excerpt: "*1048577\\r\\n" },
  { wire: "*1\r\n*1\r\n*0\r\n", limits: depth, message: "Nested deeper than 2", offset: 8, excerpt: "*0\\r\\n" },
  { wire: "|1\r\n%?\r\n|0\r\n", limits: depth, message: "Nested deeper than 2", offset: 8, excerpt: "|0\\r\\n" },
  { wire: "*1\r\n".repeat(100_000), message: "Nested deeper than 128", offset: 512, excerpt: "*1\\r\\n" },
  { wire: "+abcde\r\n", limits: line, message: "Line longer than 4 bytes", excerpt: "+abcde\\r\\n" },
  { wire: "(12345", limits: line, message: "Line longer than 4 bytes", excerpt: "(12345" },
  { wire: `-${"x".repeat(65_537)}`, message: "Line longer than 65536 bytes", excerpt: `-${"x".repeat(15)}` },
];

for (
  const { wire, limits, message, offset = 0, excerpt } of [
    ...REFUSALS,
    ...VALUE_REFUSALS,
    ...SHAPE_REFUSALS,
    ...LIMIT_REFUSALS,
  ]
) {
  const shown = wire.length > 60 ? `${wire.slice(0, 20)}…` : wire;
  test(`${JSON.stringify(shown)}${limits === undefined ? "" : ` under ${JSON.stringify(limits)}`}: ${message}`, () => {
    const whole = readChunks([bytes(wire)], limits);
    assertStringIncludes(String(whole.error?.message), message);
    assertEquals([whole.error?.offset, whole.error?.excerpt, whole.offset], [offset, excerpt, offset]);
    const single = readChunks(singleBytes(bytes(wire)), limits);
    assertEquals([single.error?.offset, single.replies], [offset, whole.replies]);
    assert(excerpt.startsWith(single.error?.excerpt ?? "none"), "A later excerpt only shows more of the same line");
  });
}

test("what is exactly at a limit passes", () => {
  const limits = { bulkBytes: 4, elements: 4, depth: 2, lineBytes: 4 };
  const wires = [
    "$4\r\nabcd\r\n",
    "$?\r\n;3\r\nabc\r\n;1\r\nd\r\n;0\r\n",
    "*2\r\n:1\r\n*2\r\n:1\r\n:2\r\n",
    "+abcd\r\n",
  ];
  for (
    const wire of [...wires, "%2\r\n_\r\n_\r\n_\r\n_\r\n", "*?\r\n_\r\n_\r\n_\r\n_\r\n.\r\n", "|1\r\n_\r\n_\r\n$-1\r\n"]
  ) {
    const { replies, error } = readChunks([bytes(wire.repeat(3))], limits);
    assertEquals([replies.length, error], [3, undefined], wire);
  }
});

test("the first error is final: the same at every later next(), and what is fed is ignored", () => {
  const reader = new Reader();
  reader.feed(bytes("+OK\r\n?\r\n+OK\r\n"));
  assertEquals(reader.next(), simple("OK"));
  const first = assertThrows(() => reader.next(), ProtocolError, 'Unknown type: "?\\r\\n" at byte 5');
  reader.feed(bytes("+OK\r\n"));
  assertStrictEquals(assertThrows(() => reader.next(), ProtocolError), first);
  assertStrictEquals(assertThrows(() => reader.next(), ProtocolError), first);
  assertEquals(reader.offset, 5);
});

test("the offset is where the reply ends, however much was fed behind it", () => {
  const reader = new Reader();
  assertEquals([reader.next(), reader.offset], [undefined, 0]);
  reader.feed(bytes("+a\r\n*1\r\n+b\r\n$3\r\nab"));
  reader.feed(bytes(""));
  assertEquals([reader.next(), reader.offset], [simple("a"), 4]);
  assertEquals([reader.next(), reader.offset], [array(simple("b")), 12]);
  assertEquals([reader.next(), reader.offset], [undefined, 18]);
  reader.feed(bytes("c\r\n"));
  assertEquals([reader.next(), reader.offset], [bulk("abc"), 21]);
});

test("chunks that pile up before the first next() are read like any others", () => {
  const reader = new Reader();
  const wire = "*2\r\n$3\r\nabc\r\n:1\r\n";
  for (let round = 0; round < 500; round++) {
    for (const chunk of cut(bytes(wire), [round % wire.length])) reader.feed(chunk);
    if (round % 3 === 0) assertEquals(reader.next(), array(bulk("abc"), integer(1)));
  }
  for (let left = 500 - 167; left > 0; left--) assertEquals(reader.next(), array(bulk("abc"), integer(1)));
  assertEquals([reader.next(), reader.offset], [undefined, 500 * wire.length]);
});

test("a string keeps no chunk alive, and two replies share no buffer", () => {
  const short = "*1\r\n$2\r\nab\r\n";
  const wire = `${short}${short}$2\r\nab\r\n*1\r\n$0\r\n\r\n*1\r\n$0\r\n\r\n+${"x".repeat(60_000)}\r\n`;
  const buffers: ArrayBufferLike[] = [];
  for (const reply of readChunks([bytes(wire)]).replies) {
    const element = reply.type === "array" ? reply.value[0] : reply;
    if (element?.type === "bulk-string") buffers.push(element.value.buffer);
  }
  assertEquals([buffers.length, new Set(buffers).size], [5, 5]);
  assert(buffers.every((buffer) => buffer.byteLength <= 2048));
  const many = readChunks([bytes(`*10000\r\n${"$3\r\nabc\r\n".repeat(10_000)}`)]).replies[0];
  assert(many?.type === "array" && many.value.length === 10_000);
  for (const { type, value } of many.value) {
    assert(type === "bulk-string" && latin1(value) === "abc" && value.buffer.byteLength <= 2048);
  }
});

test("any reply, written and fed in any pieces, reads as the same reply", () => {
  const cuts = fc.array(fc.nat(200), { maxLength: 8 });
  fc.assert(fc.property(fc.array(anyReply, { maxLength: 3 }), cuts, (replies, positions) => {
    const wire = Uint8Array.from(replies.flatMap((reply) => [...encodeReply(reply, 3)]));
    const expected = { replies, error: undefined, offset: wire.length };
    assertEquals(readChunks(cut(wire, positions)), expected);
    assertEquals(readChunks(singleBytes(wire)), expected);
  }));
});

test("any bytes at all give replies or a ProtocolError, the same ones in one chunk and in many", () => {
  const marks = [..."$*:+->%_#,(~=!|;."];
  const words = [
    "\r\n",
    "\r",
    "\n",
    "0\r\n",
    "1\r\n",
    "2\r\n",
    "3\r\n",
    "?\r\n",
    "-1\r\n",
    "ab",
    "t\r\n",
    "txt:a\r\n",
    ".\r\n",
  ];
  const lines = [
    ":1\r\n",
    "_\r\n",
    "$1\r\na\r\n",
    "*2\r\n",
    "|1\r\n",
    "$?\r\n",
    ";1\r\na\r\n",
    ";0\r\n",
    "*?\r\n",
    "%?\r\n",
  ];
  const piece = fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...lines) },
    {
      weight: 2,
      arbitrary: fc.tuple(fc.constantFrom(...marks), fc.constantFrom(...words)).map((pair) => pair.join("")),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 4 }).map(latin1) },
  );
  const soup = fc.array(piece, { maxLength: 20 }).map((pieces) => bytes(pieces.join("")));
  const edit = fc.record({ at: fc.nat(), drop: fc.nat(2), put: piece });
  const damaged = fc.tuple(anyReply, fc.array(edit, { maxLength: 3 })).map(([reply, edits]) => {
    const wire = [...encodeReply(reply, 3)];
    for (const { at, drop, put } of edits) wire.splice(at % (wire.length + 1), drop, ...bytes(put));
    return Uint8Array.from(wire);
  });
  const limits = fc.constantFrom({}, { bulkBytes: 2, elements: 3, depth: 2, lineBytes: 3 }, { elements: 0, depth: 0 });
  fc.assert(
    fc.property(fc.oneof(soup, damaged), fc.array(fc.nat(60)), limits, (wire, positions, limits) => {
      const whole = readChunks([wire.slice()], limits);
      for (const chunks of [singleBytes(wire), cut(wire, positions)]) {
        const parts = readChunks(chunks, limits);
        assertEquals([parts.replies, parts.offset], [whole.replies, whole.offset]);
        assertEquals(parts.error === undefined, whole.error === undefined);
        assert(whole.error === undefined || whole.error.excerpt.startsWith(parts.error?.excerpt ?? "none"));
      }
    }),
    { numRuns: 2000 },
  );
});
