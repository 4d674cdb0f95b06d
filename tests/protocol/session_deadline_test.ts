import { assertEquals, assertThrows } from "@std/assert";
import { TimeoutError } from "../../src/errors.ts";
import { LAST_LOOK_MS } from "../../src/protocol/keepalive.ts";
import { encodeCommand } from "../../src/resp/writer.ts";
import { test } from "../support/test.ts";
import { HELLO_MAP, item, OK, PONG, push, refusal } from "../support/wire.ts";
import { Bench } from "./session_bench.ts";

/** Moves the time to the session's own deadline, and lets it look. */
function tick(bench: Bench): void {
  bench.now = bench.session.deadline();
  bench.session.tick(bench.now);
}

/** The session gives up here: the deadline, one last look, and the end. */
function assertTimesOut(bench: Bench, at: number, what: string, ms: number): void {
  assertEquals(bench.session.deadline(), at);
  tick(bench);
  assertEquals(bench.session.deadline(), at + LAST_LOOK_MS);
  bench.session.tick(at + LAST_LOOK_MS - 1);
  const error = assertThrows(() => tick(bench), TimeoutError);
  assertEquals([error.what, error.ms], [what, ms]);
}

test("a handshake that is not answered times out", () => {
  assertTimesOut(new Bench(), 5_000, "HELLO", 5_000);
});

test("the deadline of the handshake is not extended by half of it", () => {
  const bench = new Bench({ handshake: { protocol: "auto", password: "hunter2", clientName: "app", database: 0 } });
  bench.now = 3_000;
  bench.hear(refusal("NOPROTO no"));
  bench.hear(OK);
  assertTimesOut(bench, 5_000, "CLIENT SETNAME", 5_000);
});

test("an idle session that is live has no deadline but that of its keepalive", () => {
  const bench = new Bench();
  bench.open();
  assertEquals(bench.session.deadline(), Infinity);
  bench.session.tick(1e9);
  assertEquals(bench.sent(), []);
});

for (
  const [what, verb, act] of [
    ["SUBSCRIBE", "SUBSCRIBE", (bench: Bench) => bench.want("channel", "b")],
    ["PUNSUBSCRIBE", "PUNSUBSCRIBE", (bench: Bench) => bench.drop("pattern", "p*")],
    ["SUNSUBSCRIBE and its PING", "SUNSUBSCRIBE", (bench: Bench) => bench.drop("shard", "s")],
    ["a command", "GET", (bench: Bench) => void bench.session.command("GET", encodeCommand(["GET"]), bench.now)],
    ["QUIT", "QUIT", (bench: Bench) => bench.session.quit(bench.now)],
    ["a sign of life", "PING", (bench: Bench) => void bench.session.command("PING", ["PING"], bench.now)],
  ] as const
) {
  test(`${what} that is not answered times out, counted from when it was sent`, () => {
    const bench = new Bench();
    bench.want("channel", "a");
    bench.want("pattern", "p*");
    bench.want("shard", "s");
    bench.open();
    bench.hear(push("subscribe", "a", 1), push("psubscribe", "p*", 2), push("ssubscribe", "s", 1));
    bench.now = 500;
    act(bench);
    assertTimesOut(bench, 3_500, verb, 3_000);
  });
}

test("to quit in the handshake has the deadline of a command", () => {
  const bench = new Bench();
  bench.now = 1_000;
  bench.session.quit(bench.now);
  assertTimesOut(bench, 4_000, "QUIT", 3_000);
});

test("a command counts from when it became the oldest", () => {
  const bench = new Bench({ role: "commands" });
  bench.open();
  for (const verb of ["ONE", "TWO"]) bench.session.command(verb, encodeCommand([verb]), 0);
  bench.now = 2_900;
  bench.hear(item(1));
  assertTimesOut(bench, 5_900, "TWO", 3_000);
});

test("a new deadline starts with the next command, not with the last answer", () => {
  const bench = new Bench({ role: "commands" });
  bench.open();
  bench.session.command("ONE", encodeCommand(["ONE"]), 0);
  bench.hear(item(1));
  assertEquals(bench.session.deadline(), Infinity);
  bench.session.command("TWO", encodeCommand(["TWO"]), 10_000);
  assertTimesOut(bench, 13_000, "TWO", 3_000);
});

test("thousands of names that come to rest one after the other do not time out together", () => {
  const bench = new Bench();
  const names = Array.from({ length: 50 }, (_, index) => `c${index}`);
  bench.want("channel", ...names);
  bench.open();
  for (const [index, name] of names.entries()) {
    bench.now += 2_900;
    bench.session.tick(bench.now);
    bench.hear(push("subscribe", name, index + 1));
  }
  assertEquals(bench.session.deadline(), Infinity);
});

test("an answer that waits in the socket is found by the last look", () => {
  const bench = new Bench();
  bench.want("channel", "a");
  bench.open();
  bench.now = 60_000;
  bench.session.tick(bench.now);
  assertEquals(bench.hear(push("subscribe", "a", 1)), ["subscribed channel a", "synced"]);
  assertEquals(bench.session.deadline(), Infinity);
});

test("a handshake that waits in the socket is found by the last look", () => {
  const bench = new Bench();
  bench.now = 60_000;
  bench.session.tick(bench.now);
  assertEquals(bench.hear(HELLO_MAP), ["connected 3", "synced"]);
});

test("messages that come in the last look earn the answer behind them its full time, once", () => {
  const bench = new Bench();
  bench.want("channel", "a", "b");
  bench.open();
  bench.hear(push("subscribe", "a", 1));
  for (const now of [3_000, 6_000]) {
    bench.now = now;
    bench.session.tick(now - 1);
    if (now === 6_000) break;
    bench.session.tick(now);
    bench.hear(push("message", "a", "x"));
  }
  assertEquals(bench.session.deadline(), 6_000);
  const error = assertThrows(() => tick(bench), TimeoutError);
  assertEquals([error.what, error.ms], ["SUBSCRIBE", 3_000]);
});

test("a busy channel does not excuse for ever a command that is not answered", () => {
  const bench = new Bench();
  bench.want("channel", "a", "b");
  bench.open();
  bench.hear(push("subscribe", "a", 1));
  assertThrows(
    () => {
      for (; bench.now < 60_000; bench.now += 20) {
        bench.session.tick(bench.now);
        bench.hear(push("message", "a", "x"));
      }
    },
    TimeoutError,
    "No answer within 3000 ms: SUBSCRIBE",
  );
  assertEquals(bench.now, 6_000);
});

test("a handshake that trickles in byte by byte has a deadline too", () => {
  const bench = new Bench();
  bench.session.receive(new TextEncoder().encode("$100000\r\n"), 0);
  assertThrows(
    () => {
      for (; bench.now < 60_000; bench.now += 20) {
        bench.session.tick(bench.now);
        bench.session.receive(Uint8Array.of(0x78), bench.now);
        bench.events();
      }
    },
    TimeoutError,
    "No answer within 5000 ms: HELLO",
  );
  assertEquals(bench.now, 10_000);
});

test("silence leads to a PING, and an answer to silence again", () => {
  const bench = new Bench({ keepAlive: { idleMs: 1_000, timeoutMs: 500 } });
  bench.open();
  for (const now of [1_000, 2_000, 3_000]) {
    assertEquals(bench.session.deadline(), now);
    tick(bench);
    assertEquals(bench.sent(), ["PING"]);
    assertEquals(bench.hear(PONG), []);
  }
});

test("a PING that is refused is as good a sign of life", () => {
  const bench = new Bench({ keepAlive: { idleMs: 1_000, timeoutMs: 500 } });
  bench.open();
  tick(bench);
  assertEquals(bench.hear(refusal("NOPERM User x has no permissions to run the 'ping' command")), []);
  assertEquals(bench.session.deadline(), 2_000);
});

test("no sign of life at all ends the connection", () => {
  const bench = new Bench({ keepAlive: { idleMs: 1_000, timeoutMs: 500 } });
  bench.open();
  tick(bench);
  tick(bench);
  assertEquals(bench.now, 1_500);
  const error = assertThrows(() => tick(bench), TimeoutError);
  assertEquals([bench.now, error.what, error.ms], [1_500 + LAST_LOOK_MS, "PONG", 500]);
});

test("anything heard is a sign of life, but not an answer: the PING itself has a deadline", () => {
  const bench = new Bench({ keepAlive: { idleMs: 1_000, timeoutMs: 500 } });
  bench.want("channel", "a");
  bench.open();
  bench.hear(push("subscribe", "a", 1));
  tick(bench);
  for (const now of [1_400, 2_300, 3_200]) {
    bench.now = now;
    bench.session.tick(now);
    bench.hear(push("message", "a", "x"));
  }
  assertEquals(bench.session.deadline(), 4_000);
  tick(bench);
  const error = assertThrows(() => tick(bench), TimeoutError);
  assertEquals([error.what, error.ms, bench.now], ["PING", 3_000, 4_000 + LAST_LOOK_MS]);
});

test("the keepalive starts when the handshake is done", () => {
  const bench = new Bench({ keepAlive: { idleMs: 1_000, timeoutMs: 500 } });
  assertEquals(bench.session.deadline(), 5_000);
  bench.now = 4_000;
  bench.open();
  assertEquals(bench.session.deadline(), 5_000);
  tick(bench);
  assertEquals(bench.sent(), ["PING"]);
});

test("while we do not read nothing is due, and afterwards everything has its full time", () => {
  const bench = new Bench({ keepAlive: { idleMs: 10_000, timeoutMs: 500 } });
  bench.want("channel", "a");
  bench.open();
  bench.now = 2_000;
  bench.session.pause();
  assertEquals(bench.session.deadline(), Infinity);
  bench.session.tick(1e6);
  bench.now = 1e6;
  bench.hear(push("message", "a", "taken in before the pause"));
  assertEquals(bench.session.deadline(), Infinity);
  bench.session.resume(bench.now);
  assertTimesOut(bench, 1e6 + 3_000, "SUBSCRIBE", 3_000);
});

test("a pause that begins in the handshake goes on after it", () => {
  const bench = new Bench({ keepAlive: { idleMs: 1_000, timeoutMs: 500 } });
  bench.want("channel", "a");
  bench.session.pause();
  bench.open();
  assertEquals(bench.session.deadline(), Infinity);
  bench.session.resume(bench.now);
  assertEquals(bench.session.deadline(), 1_000);
});

test("a session knows when its peer was heard last", () => {
  const bench = new Bench();
  assertEquals(bench.session.lastHeard, 0);
  bench.now = 70;
  bench.open();
  bench.now = 90;
  bench.session.tick(90);
  assertEquals(bench.session.lastHeard, 70);
});
