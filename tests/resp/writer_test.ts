import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { Reply } from "../../src/resp/reply.ts";
import { type Argument, CommandBuffer, concat, encodeCommand, encodeReply } from "../../src/resp/writer.ts";
import { test } from "../support/test.ts";
import { anyReply, bytes, latin1, readChunks } from "./wire.ts";

const COMMANDS: readonly (readonly [args: Argument[], wire: string])[] = [
  [["PING"], "*1\r\n$4\r\nPING\r\n"],
  [["SET", "k", ""], "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n"],
  [["PUBLISH", "café", "€𝄞"], "*3\r\n$7\r\nPUBLISH\r\n$5\r\ncaf\xc3\xa9\r\n$7\r\n\xe2\x82\xac\xf0\x9d\x84\x9e\r\n"],
  [["a\ud800", "\udc00\ud800b"], "*2\r\n$4\r\na\xef\xbf\xbd\r\n$7\r\n\xef\xbf\xbd\xef\xbf\xbdb\r\n"],
  [[1, -0, 2.5, 1e21], "*4\r\n$1\r\n1\r\n$1\r\n0\r\n$3\r\n2.5\r\n$5\r\n1e+21\r\n"],
  [[Uint8Array.of(0, 255, 13, 10)], "*1\r\n$4\r\n\x00\xff\r\n\r\n"],
  [["x".repeat(100)], `*1\r\n$100\r\n${"x".repeat(100)}\r\n`],
  [["é".repeat(1000)], `*1\r\n$2000\r\n${"\xc3\xa9".repeat(1000)}\r\n`],
];

for (const [args, wire] of COMMANDS) {
  test(`a command is an array of bulk strings: ${JSON.stringify(wire.slice(0, 50))}`, () => {
    assertEquals(latin1(encodeCommand(args)), wire);
  });
}

test("any arguments arrive as their own bytes", () => {
  const argument = fc.oneof(fc.string({ unit: "binary", maxLength: 600 }), fc.uint8Array(), fc.integer());
  fc.assert(fc.property(fc.array(argument, { minLength: 1, maxLength: 12 }), (args) => {
    const value = args.map((arg) => ({
      type: "bulk-string" as const,
      value: arg instanceof Uint8Array ? arg : new TextEncoder().encode(String(arg)),
    }));
    assertEquals(readChunks([encodeCommand(args)]).replies, [{ type: "array", value }]);
  }));
});

test("what is no argument is refused, and its content stays out of the text", () => {
  assertThrows(() => encodeCommand([]), TypeError, "Cannot encode a command without a single argument");
  for (const value of [NaN, Infinity, -Infinity]) {
    assertThrows(() => encodeCommand(["SET", value]), TypeError, `not a finite number: ${value}`);
  }
  const misused: (args: readonly unknown[]) => Uint8Array = (args) => encodeCommand(args as Argument[]);
  for (const value of [undefined, null, true, 1n, { length: 3 }, ["secret"], Symbol("secret")]) {
    const error = assertThrows(() => misused(["SET", value]), TypeError, "no string, number or Uint8Array: ");
    assert(!error.message.includes("secret"), error.message);
  }
});

const one: Reply = { type: "integer", value: 1 };
const word: Reply = { type: "simple-string", value: "w" };

function same(wire: string): [string, string] {
  return [wire, wire];
}

const REPLIES: readonly (readonly [reply: Reply, resp2: string, resp3: string])[] = [
  [{ type: "simple-string", value: "OK é" }, "+OK \xc3\xa9\r\n", "+OK \xc3\xa9\r\n"],
  [{ type: "simple-string", value: "a\r\n$0" }, "+a $0\r\n", "+a $0\r\n"],
  [{ type: "simple-error", value: "ERR a\nb" }, "-ERR a b\r\n", "-ERR a b\r\n"],
  [{ type: "bulk-error", value: "ERR a\r\nb" }, "-ERR a b\r\n", "!8\r\nERR a\r\nb\r\n"],
  [{ type: "integer", value: -7 }, ":-7\r\n", ":-7\r\n"],
  [{ type: "integer", value: 2n ** 63n - 1n }, ":9223372036854775807\r\n", ":9223372036854775807\r\n"],
  [{ type: "bulk-string", value: bytes("\x00\xff") }, "$2\r\n\x00\xff\r\n", "$2\r\n\x00\xff\r\n"],
  [{ type: "null", value: null }, "$-1\r\n", "_\r\n"],
  [{ type: "boolean", value: true }, ":1\r\n", "#t\r\n"],
  [{ type: "boolean", value: false }, ":0\r\n", "#f\r\n"],
  [{ type: "double", value: 2.5 }, "$3\r\n2.5\r\n", ",2.5\r\n"],
  [{ type: "double", value: -0 }, "$2\r\n-0\r\n", ",-0\r\n"],
  [{ type: "double", value: -Infinity }, "$4\r\n-inf\r\n", ",-inf\r\n"],
  [{ type: "double", value: Infinity }, "$3\r\ninf\r\n", ",inf\r\n"],
  [{ type: "double", value: NaN }, "$3\r\nnan\r\n", ",nan\r\n"],
  [{ type: "big-number", value: -(10n ** 20n) }, "$22\r\n-100000000000000000000\r\n", "(-100000000000000000000\r\n"],
  [{ type: "verbatim-string", format: "txt", value: bytes("hi") }, "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"],
  [{ type: "array", value: [one, { type: "array", value: [] }] }, "*2\r\n:1\r\n*0\r\n", "*2\r\n:1\r\n*0\r\n"],
  [{ type: "set", value: [one] }, "*1\r\n:1\r\n", "~1\r\n:1\r\n"],
  [{ type: "push", value: [word] }, "*1\r\n+w\r\n", ">1\r\n+w\r\n"],
  [
    { type: "map", value: [[word, one], [one, word]] },
    "*4\r\n+w\r\n:1\r\n:1\r\n+w\r\n",
    "%2\r\n+w\r\n:1\r\n:1\r\n+w\r\n",
  ],
  [{ type: "array", value: [{ ...one, attributes: [[word, one]] }] }, "*1\r\n:1\r\n", "*1\r\n|1\r\n+w\r\n:1\r\n:1\r\n"],
  [{ ...one, attributes: [] }, ":1\r\n", ":1\r\n"],
  [{ type: "bulk-string", value: bytes("x".repeat(2000)) }, ...same(`$2000\r\n${"x".repeat(2000)}\r\n`)],
];

for (const [reply, resp2, resp3] of REPLIES) {
  test(`a reply is ${JSON.stringify(resp2.slice(0, 40))} in RESP2, ${JSON.stringify(resp3.slice(0, 40))} in RESP3`, () => {
    assertEquals(latin1(encodeReply(reply, 2)), resp2);
    assertEquals(latin1(encodeReply(reply, 3)), resp3);
  });
}

test("whatever the reply, RESP2 gets one reply of RESP2 types", () => {
  const known = new Set(["simple-string", "simple-error", "integer", "bulk-string", "null", "array"]);
  const check = (reply: Reply): void => {
    assert(known.has(reply.type) && reply.attributes === undefined, reply.type);
    if (reply.type === "array") reply.value.forEach(check);
  };
  fc.assert(fc.property(anyReply, (reply) => {
    const { replies, error } = readChunks([encodeReply(reply, 2)]);
    assertEquals([replies.length, error], [1, undefined]);
    replies.forEach(check);
  }));
});

test("parts are joined in order, and a single one is not copied", () => {
  assertEquals(latin1(concat([bytes("ab"), bytes(""), bytes("c")])), "abc");
  assertEquals(concat([]).length, 0);
  const alone = bytes("ab");
  assertStrictEquals(concat([alone]), alone);
});

test("a command of names is written as any other, or not at all where one is not ASCII", () => {
  const name = fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.constant("x".repeat(1_000)));
  fc.assert(
    fc.property(fc.array(fc.array(name, { minLength: 1 }), { maxLength: 4 }), fc.nat(9), (commands, more) => {
      const buffer = new CommandBuffer();
      const expected: Uint8Array[] = [];
      for (const names of commands) {
        // deno-lint-ignore no-control-regex
        const isAscii = names.every((name) => /^[\x00-\x7f]*$/.test(name));
        const text = buffer.addNames("SUBSCRIBE", names.map((name) => ({ name })), more);
        if (!isAscii) buffer.add(["PING"]);
        assertEquals(text, isAscii ? names.map((name) => `\r\n$${name.length}\r\n${name}`).join("") : undefined);
        expected.push(encodeCommand(isAscii ? ["SUBSCRIBE", ...names] : ["PING"]));
      }
      assertEquals(buffer.take() ?? new Uint8Array(), concat(expected));
    }),
  );
});
