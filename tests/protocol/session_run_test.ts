/** How a session tells of messages: many at once, to be taken one by one. */
import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/errors.ts";
import { encodeCommand, encodeReply } from "../../src/resp/writer.ts";
import type { Reply } from "../../src/resp/reply.ts";
import type { Run } from "../../src/run/run.ts";
import { takeAll, takeOne } from "../support/run.ts";
import { test } from "../support/test.ts";
import { array, item, PONG, push } from "../support/wire.ts";
import { Bench } from "./session_bench.ts";

const decoder = new TextDecoder();

/** A session behind its handshake, subscribed to the channel `a`. */
function opened(protocol: 2 | 3 = 3): Bench {
  const bench = new Bench({ protocol });
  bench.want("channel", "a");
  bench.open();
  bench.hear(push("subscribe", "a", 1));
  bench.sent();
  return bench;
}

function message(payload: string): Reply {
  return push("message", "a", payload);
}

/** The server sends these in one piece, and nobody takes anything yet. */
function receive(bench: Bench, ...replies: Reply[]): void {
  for (const reply of replies) bench.session.receive(encodeReply(reply, bench.protocol), bench.now);
}

function nextRun(bench: Bench): Run {
  const event = bench.session.next();
  assert(event?.type === "messages", `It told of ${event?.type}`);
  return event;
}

function payloads(run: Run): string[] {
  return takeAll(run).map(({ payload }) => decoder.decode(payload));
}

/** Reads bytes into the room of the session; gives the memory. */
function readInto({ session, now }: Bench, bytes: Uint8Array): ArrayBuffer {
  const room = session.room();
  room.set(bytes);
  session.receive(room.subarray(0, bytes.length), now);
  return room.buffer;
}

for (const protocol of [3, 2] as const) {
  test(`in RESP${protocol} messages that come together are told together, and what is not taken is told again`, () => {
    const bench = opened(protocol);
    receive(bench, message("1"), message("2"), message("3"));
    const run = nextRun(bench);
    assertEquals([run.count, run.taken], [3, 0]);
    assertEquals(decoder.decode(takeOne(run).payload), "1");
    assertStrictEquals(nextRun(bench), run);
    assertStrictEquals(nextRun(bench), run);
    assertEquals([run.taken, payloads(run)], [1, ["2", "3"]]);
    assertEquals(bench.session.next(), undefined);
  });

  test(`in RESP${protocol} what stands between messages is told between them`, () => {
    const bench = opened(protocol);
    bench.want("channel", "b");
    receive(bench, message("1"), push("subscribe", "b", 2), message("2"), message("3"), push("invalidate", "x"));
    const run = nextRun(bench);
    assertEquals(payloads(run), ["1"]);
    assertEquals([bench.session.next()?.type, bench.session.next()?.type], ["settled", "synced"]);
    assertEquals(payloads(nextRun(bench)), ["2", "3"]);
    assertEquals([bench.session.next()?.type, bench.session.next()], ["unknown-push", undefined]);
  });

  test(`in RESP${protocol} a message before broken bytes is told before they are`, () => {
    const bench = opened(protocol);
    receive(bench, message("1"));
    bench.session.receive(new TextEncoder().encode("?oops\r\n"), 0);
    assertEquals(payloads(nextRun(bench)), ["1"]);
    for (let i = 0; i < 2; i++) assertThrows(() => bench.session.next(), ProtocolError);
  });

  test(`in RESP${protocol} a pause halts the run in hand and every later one, until it flows again`, () => {
    const bench = opened(protocol);
    receive(bench, message("1"), message("2"), message("3"));
    const run = nextRun(bench);
    takeOne(run);
    bench.session.pause();
    assertEquals([run.state, payloads(run)], ["halted", []]);
    assertEquals(nextRun(bench).taken, 1);
    bench.session.resume(0);
    assertEquals([run.state, payloads(nextRun(bench))], ["flowing", ["2", "3"]]);
    bench.session.pause();
    receive(bench, message("4"));
    assertEquals([nextRun(bench).state, payloads(run)], ["halted", []]);
    bench.session.resume(0);
    assertEquals(payloads(nextRun(bench)), ["4"]);
  });

  test(`in RESP${protocol} messages are told together, and where they were read to, also while it quits`, () => {
    const bench = opened(protocol);
    bench.session.quit(0);
    receive(bench, message("1"), message("2"));
    assertEquals(nextRun(bench).count, 2);
    takeAll(nextRun(bench));
    const memory = readInto(bench, encodeReply(message("3"), protocol));
    assertStrictEquals(nextRun(bench).view(0).buffer, memory);
  });
}

test("a large payload that comes in pieces is told where it was read to, not copied", () => {
  const bench = opened();
  // Makes the room large enough.
  for (let i = 0; i < 5; i++) {
    const { length } = bench.session.room();
    readInto(
      bench,
      encodeReply(message("x".repeat(length - `>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$${length}\r\n\r\n`.length)), 3),
    );
    bench.events();
  }
  const wire = encodeReply(message("y".repeat(100_000)), 3);
  let memory: ArrayBuffer | undefined;
  for (let at = 0; at < wire.length; at += 9_000) {
    assertEquals(bench.session.next(), undefined);
    memory = readInto(bench, wire.slice(at, at + 9_000));
  }
  const run = nextRun(bench);
  assertEquals([run.count, run.size(0), run.view(0).buffer === memory], [1, 100_000, true]);
});

test("a message that is not as servers write it is told alone, like any other", () => {
  const label: Reply = { type: "simple-string", value: "pmessage" };
  const bench = opened();
  receive(bench, message("1"), { type: "push", value: [label, item("*"), item("a"), item("2")] }, message("3"));
  assertEquals(payloads(nextRun(bench)), ["1"]);
  const run = nextRun(bench);
  assertEquals(takeAll(run), [
    { type: "message", kind: "pattern", channel: "a", pattern: "*", payload: new TextEncoder().encode("2") },
  ]);
  assertEquals([payloads(nextRun(bench)), bench.session.next()], [["3"], undefined]);
});

test("in RESP3 an array with the elements of a message answers a command, in RESP2 it is a message", () => {
  const three = opened();
  three.session.command("LRANGE", encodeCommand(["LRANGE", "x"]), 0);
  assertEquals(three.hear(array("message", "a", "1"), message("2")), ["reply 1 array", "message channel a 2"]);
  const two = opened(2);
  two.session.command("GET", encodeCommand(["GET", "x"]), 0);
  assertEquals(two.hear(array("message", "a", "1"), item("2")), ["message channel a 1", "reply 1 bulk-string"]);
});

test("a session for commands that is sent a message passes over it, and goes on", () => {
  const bench = new Bench({ role: "commands" });
  bench.open();
  bench.session.command("GET", encodeCommand(["GET", "x"]), 0);
  assertEquals(bench.hear(message("1"), message("2"), item("v"), message("3")), ["reply 1 bulk-string"]);
  assertEquals([bench.session.next(), bench.session.next()], [undefined, undefined]);
});

test("a connection that was busy and then silent reads its next bytes into a small room again", () => {
  const bench = opened();
  const { session } = bench;
  const filler = encodeReply(message("x".repeat(1_000)), 3);
  const fill = () => {
    const room = session.room();
    const whole = Math.floor(room.length / filler.length);
    for (let i = 0; i <= whole; i++) room.set(filler.subarray(0, room.length - i * filler.length), i * filler.length);
    session.receive(room, bench.now);
    for (let event; (event = session.next()) !== undefined;) if (event.type === "messages") takeAll(event);
    session.receive(filler.subarray(room.length - whole * filler.length), bench.now);
    for (let event; (event = session.next()) !== undefined;) if (event.type === "messages") takeAll(event);
  };
  for (let read = 0; read < 5; read++) fill();
  const busy = session.room().buffer.byteLength;
  bench.now += 10_000;
  readInto(bench, encodeReply(message("after a while"), 3));
  const run = nextRun(bench);
  assertEquals(payloads(run), ["after a while"]);
  session.next();
  assertEquals([busy, session.room().buffer.byteLength], [256 * 1024, 4 * 1024]);
});

test("messages are no news: nothing that was to be sent, and nothing that is due", () => {
  const bench = opened();
  const { session } = bench;
  const hears = (reply: Reply): string => {
    session.news = "none";
    receive(bench, reply);
    for (let event; (event = session.next()) !== undefined;) if (event.type === "messages") takeAll(event);
    return session.news;
  };
  assertEquals(session.news, "some");
  assertEquals([hears(message("1")), hears(message("2"))], ["none", "none"]);
  bench.want("channel", "b");
  session.sync("channel", "b", bench.now);
  assertEquals(hears(push("subscribe", "b", 2)), "some");
  session.command("PING", ["PING"], bench.now);
  assertEquals([hears(message("3")), hears(PONG), hears(message("4"))], ["none", "some", "none"]);
});
