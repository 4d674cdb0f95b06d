import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Requests, splitLine } from "../../src/broker/request.ts";
import { ProtocolError } from "../../src/errors.ts";
import { encodeCommand } from "../../src/resp/writer.ts";
import { test } from "../support/test.ts";

const bytes = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const text = (words: Uint8Array) => String.fromCharCode(...words);

function read(...chunks: (string | Uint8Array)[]): string[][] {
  const requests = new Requests();
  const commands: string[][] = [];
  for (const chunk of chunks) {
    requests.feed(typeof chunk === "string" ? bytes(chunk) : chunk);
    for (let words = requests.next(); words !== undefined; words = requests.next()) commands.push(words.map(text));
  }
  return commands;
}

test("Commands are read from RESP and from typed lines", () => {
  const table: [string, string[][]][] = [
    ["*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", [["PING"], ["ECHO", ""]]],
    ["*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n", [["PING"]]],
    ["PING\r\n", [["PING"]]],
    ["PING\n", [["PING"]]],
    ["\r\n\n  \r\n", []],
    ["  SUBSCRIBE\t a  b \r\nPING\r\n", [["SUBSCRIBE", "a", "b"], ["PING"]]],
    ["PING\r\n*1\r\n$4\r\nPING\r\n", [["PING"], ["PING"]]],
    ["PING", []],
    ["", []],
  ];
  for (const [input, commands] of table) assertEquals(read(input), commands, JSON.stringify(input));
});

test("Commands are the same at whatever boundaries their bytes come", () => {
  const word = fc.uint8Array({ maxLength: 12 });
  const command = fc.array(word, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.nat(3), fc.array(command, { maxLength: 4 }), (typed, commands) => {
      const input = Uint8Array.from([
        ...bytes("ECHO 'a b'\r\n".repeat(typed)),
        ...commands.flatMap((words) => [...encodeCommand(words)]),
      ]);
      const expected = [
        ...Array.from({ length: typed }, () => ["ECHO", "a b"]),
        ...commands.map((words) => words.map(text)),
      ];
      assertEquals(read(input.slice()), expected);
      assertEquals(read(...Array.from(input, (byte) => Uint8Array.of(byte))), expected);
    }),
  );
});

test("What is no command is a ProtocolError", () => {
  for (
    const input of [
      "*1\r\n+PING\r\n",
      "*1\r\n$-1\r\n",
      "*x\r\n",
      "*1\r\n*1\r\n$4\r\nPING\r\n",
      "*1\r\n$4\r\nPING\r\n+OK\r\n",
      "PING 'x\r\n",
      'PING "x"y\r\n',
      "x".repeat(65_537),
      `${"x".repeat(65_537)}\r\n`,
    ]
  ) {
    assertThrows(() => read(input), ProtocolError);
  }
});

test("A typed line is split as Redis does", () => {
  const table: [string, string[]][] = [
    ["a b", ["a", "b"]],
    [`"a b" c`, ["a b", "c"]],
    [`'a b' c`, ["a b", "c"]],
    [`""`, [""]],
    [`''`, [""]],
    [String.raw`"a\x41\xfFb"`, ["aA\xffb"]],
    [String.raw`"\n\r\t\b\a\"\\\q"`, [`\n\r\t\b\x07"\\q`]],
    [String.raw`"\x4"`, ["x4"]],
    [String.raw`'a\'b\nc'`, [String.raw`a'b\nc`]],
    [`a"b c"`, ["ab c"]],
  ];
  for (const [line, words] of table) assertEquals(splitLine(bytes(line)).map(text), words, line);
});

test("A quote that stays open, or that a word follows at once, is a ProtocolError", () => {
  for (const line of [`"`, `'a`, `"a"b`, `'a'b`, String.raw`"a\"`]) {
    assertThrows(() => splitLine(bytes(line)), ProtocolError, "unbalanced quotes");
  }
});
