import { assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import {
  ConnectionError,
  DecodeError,
  OverflowError,
  ProtocolError,
  RedisError,
  ReplyError,
  TimeoutError,
} from "../src/errors.ts";
import { test } from "./support/test.ts";

const cause = new Error("why");
const EVERY: readonly (readonly [name: string, error: RedisError])[] = [
  ["RedisError", new RedisError("Text", { cause })],
  ["ConnectionError", new ConnectionError("Text", { cause })],
  ["TimeoutError", new TimeoutError("PONG", 10, { cause })],
  ["ReplyError", new ReplyError("ERR no", "PING", { cause })],
  ["OverflowError", new OverflowError("Text", { cause })],
  ["DecodeError", new DecodeError("Text", { channel: "a", cause })],
];

for (const [name, error] of EVERY) {
  test(`a ${name} is a RedisError that keeps its name and its cause`, () => {
    assertInstanceOf(error, RedisError);
    assertInstanceOf(error, Error);
    assertEquals(error.name, name);
    assertStrictEquals(error.cause, cause);
  });
}

test("a ConnectionError says where it went, where that is known", () => {
  assertEquals(new ConnectionError("Text", { endpoint: "localhost:6379" }).endpoint, "localhost:6379");
  assertEquals(new ConnectionError("Text").endpoint, undefined);
});

test("a TimeoutError says what was waited for, and for how long", () => {
  const { message, what, ms } = new TimeoutError("PONG", 5_000);
  assertEquals([message, what, ms], ["No answer within 5000 ms: PONG", "PONG", 5_000]);
});

test("a ProtocolError shows the offending bytes where there are any", () => {
  const { name, message, offset, excerpt } = new ProtocolError("Unknown type", { offset: 7, excerpt: "?\\r\\n" });
  assertEquals(name, "ProtocolError");
  assertEquals([message, offset, excerpt], ['Unknown type: "?\\r\\n" at byte 7', 7, "?\\r\\n"]);
  const plain = new ProtocolError("Not asked for");
  assertEquals([plain.message, plain.offset, plain.excerpt], ["Not asked for", 0, ""]);
});

const CODES: readonly (readonly [text: string, code: string])[] = [
  ["NOPERM no permission", "NOPERM"],
  ["MOVED 12182 10.0.0.1:6379", "MOVED"],
  ["X_9 it", "X_9"],
  ["NOAUTH", "NOAUTH"],
  ["NoPerm no", "ERR"],
  ["Protected mode", "ERR"],
  ["LOADING: wait", "ERR"],
  ["9ERR no", "ERR"],
  ["", "ERR"],
];

for (const [text, code] of CODES) {
  test(`the code of ${JSON.stringify(text)} is ${code}`, () => {
    const error = new ReplyError(text, "SUBSCRIBE");
    assertEquals([error.code, error.verb, error.channel], [code, "SUBSCRIBE", undefined]);
    assertEquals(error.message, `SUBSCRIBE was refused: ${text}`);
  });
}

test("a ReplyError names the channel that was refused, escaped", () => {
  const error = new ReplyError("NOPERM no", "SUBSCRIBE", { channel: 'a"\n' });
  assertEquals([error.channel, error.message], ['a"\n', 'SUBSCRIBE of "a\\"\\n" was refused: NOPERM no']);
});

const ECHOES: readonly (readonly [text: string, shown: string])[] = [
  ["ERR unknown command `AUTH`, with args beginning with: `hunter2`, ", "ERR unknown command `AUTH`"],
  ["ERR unknown command 'AUTH', with args beginning with: 'hunter2' ", "ERR unknown command 'AUTH'"],
  ["ERR unknown command 'AUTH' with args beginning with: \nhunter2\n", "ERR unknown command 'AUTH'"],
];

for (const [text, shown] of ECHOES) {
  test(`a ReplyError does not repeat arguments that the server echoes: ${JSON.stringify(text)}`, () => {
    assertEquals(new ReplyError(text, "AUTH").message, `AUTH was refused: ${shown}`);
  });
}
