/** Closing resolves in every state, and leaves no timer and no open transport. */
import { assertEquals, assertInstanceOf } from "@std/assert";
import { ConnectionError } from "../../src/errors.ts";
import { settle } from "../support/manual_clock.ts";
import { refuse } from "../support/model_network.ts";
import { test } from "../support/test.ts";
import { OK, push, refusal } from "../support/wire.ts";
import { Bench, type BenchOptions } from "./supervisor_bench.ts";

const never = () => new Promise<never>(() => {});
const silentAt = (verb: string): BenchOptions => ({ answer: (words) => words[0] === verb ? [] : undefined });
const keepAlive = { idleMs: 10_000, timeoutMs: 5_000 };

/** Each state, how to get there, and how long closing takes; a call for "a" waits, where it has not been answered. */
const STATES: readonly (readonly [state: string, BenchOptions, ms: number, lead?: (bench: Bench) => Promise<void>])[] =
  [
    ["it looks for the endpoint", { locate: never }, 0],
    ["it asks for credentials", { credentials: never }, 0],
    ["it dials", { dialling: never }, 0],
    ["it dials with a dial that listens to its signal", {
      dialling: (_, signal) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    }, 0],
    ["its handshake is not answered", silentAt("HELLO"), 0],
    ["neither its handshake nor its goodbye is answered", {
      answer: ([verb]) => verb === "HELLO" || verb === "QUIT" ? [] : undefined,
    }, 1_000],
    ["it subscribes", silentAt("SUBSCRIBE"), 0],
    ["it waits after a first failure", { waitOnFirstConnect: true, dialling: refuse }, 0],
    ["it waits after a loss", {}, 0, async (bench) => {
      bench.network.last.close();
      await settle();
      bench.want("a");
    }],
    ["it dials again", { dialling: (count) => count > 1 ? never() : undefined }, 0, async (bench) => {
      bench.network.last.close();
      await bench.clock.advance(50);
    }],
    ["it is live", {}, 0],
    ["it is live and paused", {}, 0, async (bench) => {
      bench.supervisor.pause();
      bench.network.last.send(push("message", "a", "1"), push("message", "a", "2"));
      await settle();
    }],
    ["it is live and unsubscribes", silentAt("UNSUBSCRIBE"), 0, async (bench) => {
      bench.drop("a");
      await settle();
    }],
    ["it is live and the server has frozen", {}, 1_000, (bench) => {
      bench.network.last.state = "frozen";
      return settle();
    }],
  ];

for (const [state, options, ms, lead] of STATES) {
  test(`to close while ${state} resolves, and leaves nothing`, async () => {
    const bench = new Bench({ keepAlive, ...options });
    const call = bench.subscribe(["a"]);
    await settle();
    const answered = call.end === "done";
    await lead?.(bench);
    bench.news();
    let closed = "not yet";
    void bench.supervisor.close().then(() => closed = "closed");
    if (ms > 0) {
      await bench.clock.advance(ms - 1);
      assertEquals(closed, "not yet");
      await bench.clock.advance(1);
    }
    await settle();
    assertEquals([closed, bench.told.at(-1), bench.states()], ["closed", "closed", []]);
    await bench.assertLeftNothing();
    // A call that the server had not acknowledged is told.
    if (!answered) assertInstanceOf(call.end, ConnectionError);
    const { dials } = bench.network;
    await bench.clock.advance(60_000);
    assertEquals([bench.network.dials, bench.told.filter((line) => line === "closed").length], [dials, 1]);
    assertEquals(bench.told.includes("ready"), false);
  });
}

test("to close what was never used resolves, and is told", async () => {
  const bench = new Bench();
  await bench.supervisor.close();
  assertEquals([bench.told, bench.network.dials], [["closed"], 0]);
  bench.want("a");
  await settle();
  assertEquals(bench.network.dials, 0);
});

test("to close again is the same closing", async () => {
  const bench = new Bench();
  bench.want("a");
  await settle();
  const closing = bench.supervisor.close();
  assertEquals(bench.supervisor.close() === closing, true);
  await closing;
  assertEquals(bench.supervisor.close() === closing, true);
  assertEquals(bench.told.filter((line) => line === "closed").length, 1);
});

test("to close unsubscribes on the wire from every kind, then says goodbye", async () => {
  const bench = new Bench();
  bench.want("a", "b");
  bench.supervisor.want("pattern", bench.supervisor.desired.enter("pattern", ["p*"]));
  bench.supervisor.want("shard", bench.supervisor.desired.enter("shard", ["s"]));
  await settle();
  const { peer } = bench.network.last;
  peer.commands.length = 0;
  await bench.supervisor.close();
  assertEquals(peer.commands, [
    "UNSUBSCRIBE a",
    "UNSUBSCRIBE b",
    "PUNSUBSCRIBE p*",
    "SUNSUBSCRIBE s",
    "PING",
    "QUIT",
  ]);
  assertEquals(bench.served(), []);
});

test("a message that comes before the goodbye is answered is still told", async () => {
  const bench = new Bench({
    answer: ([verb]) => verb === "QUIT" ? [push("message", "a", "last"), OK] : undefined,
  });
  bench.want("a");
  await settle();
  const closing = bench.supervisor.close();
  await settle();
  bench.network.last.close();
  await closing;
  assertEquals(bench.messages, ["last"]);
});

test("to close in the very turn in which the socket opens, or at any turn near it, leaves nothing", async () => {
  for (let turns = 0; turns < 40; turns++) {
    const bench = new Bench({ keepAlive });
    bench.want("a");
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    const closing = bench.supervisor.close();
    await settle();
    await bench.assertLeftNothing();
    await closing;
    assertEquals(bench.told.at(-1), "closed");
  }
});

test("an acknowledgement that comes while it closes does not make it ready", async () => {
  const bench = new Bench({
    answer: ([verb]) => verb === "SUBSCRIBE" ? [] : verb === "QUIT" ? [push("subscribe", "a", 1), OK] : undefined,
  });
  bench.want("a");
  await settle();
  const closing = bench.supervisor.close();
  await settle();
  bench.network.last.close();
  await closing;
  assertEquals(bench.told, ["connecting 1", "connected 3", "subscribed a", "lost 1 since 0", "closed"]);
});

test("to close after all attempts have failed resolves, and closed is told once", async () => {
  const bench = new Bench({
    reconnect: false,
    waitOnFirstConnect: true,
    answer: () => [refusal("ERR max number of clients")],
  });
  bench.want("a");
  await settle();
  assertEquals(bench.told.slice(-2), ["failed: ReplyError", "closed"]);
  await bench.supervisor.close();
  assertEquals(bench.told.filter((line) => line === "closed").length, 1);
  await bench.assertLeftNothing();
});
