import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { ConnectionError, ReplyError, TimeoutError } from "../../src/errors.ts";
import { encodeReply } from "../../src/resp/writer.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { refuse } from "../support/model_network.ts";
import { test } from "../support/test.ts";
import { HELLO_MAP, push, refusal } from "../support/wire.ts";
import { Bench } from "./supervisor_bench.ts";

const WRONGPASS = refusal("WRONGPASS invalid username-password pair or user is disabled.");
const HELLO_LENGTH = encodeReply(HELLO_MAP, 3).length;
const ACK_LENGTH = encodeReply(push("subscribe", "a", 1), 3).length;
const NOPERM = refusal("NOPERM no");

test("nothing is dialled before something is wanted", async () => {
  const bench = new Bench();
  bench.drop("a");
  await settle();
  assertEquals([bench.network.dials, bench.told], [0, []]);
});

test("observers hear of it in order: connecting, connected, subscribed, ready", async () => {
  const bench = new Bench();
  const call = bench.subscribe(["a", "b"]);
  assertEquals(bench.states(), ["a pending", "b pending"]);
  await settle();
  assertEquals(bench.told, ["connecting 1", "connected 3", "subscribed a", "subscribed b", "ready"]);
  assertEquals([call.end, bench.states()], ["done", ["a subscribed", "b subscribed"]]);
  assertEquals([bench.supervisor.has("channel", "a"), bench.supervisor.has("pattern", "a")], [true, false]);
});

test("ready is told once for a connection, whatever comes later", async () => {
  const bench = new Bench();
  bench.want("a");
  await settle();
  bench.news();
  bench.want("b");
  await settle();
  bench.drop("a");
  await settle();
  assertEquals([bench.news(), bench.served()], [["subscribed b", "unsubscribed a"], ["channel b"]]);
});

test("a connection that is lost is made anew, with all that is wanted, and what was missed is told", async () => {
  const bench = new Bench();
  bench.want("a", "b");
  await settle();
  bench.news();
  await bench.clock.advance(700);
  bench.network.last.close();
  await bench.clock.advance(49);
  assertEquals(bench.news(), ["lost 2 since 0", "disconnected: ConnectionError", "reconnecting 1 in 50 ms"]);
  assertEquals([bench.states(), bench.supervisor.reconnects], [["a pending", "b pending"], 0]);
  await bench.clock.advance(1);
  assertEquals(bench.news(), [
    "connecting 2",
    "connected 3",
    "subscribed a",
    "subscribed b",
    "ready",
    "recovered since 0",
  ]);
  assertEquals([bench.served(), bench.supervisor.reconnects], [["channel a", "channel b"], 1]);
});

test("when several connections are lost in a row, what was missed counts from the first", async () => {
  // Of the second connection the server's answer to HELLO comes through, and the first acknowledgement.
  const bench = new Bench({ breaksAfter: (count) => count === 2 ? HELLO_LENGTH + ACK_LENGTH : Infinity });
  bench.want("a", "b");
  await settle();
  await bench.clock.advance(1_000);
  bench.network.last.send(push("message", "a", "last"));
  await settle();
  bench.network.last.close();
  await bench.clock.advance(60_000);
  assertEquals(bench.messages, ["last"]);
  assertEquals(bench.told.filter((line) => /^(lost|recovered)/.test(line)), [
    "lost 2 since 1000",
    "lost 1 since 1050",
    "recovered since 1000",
  ]);
});

test("each attempt that fails waits longer, and one that is ready starts over", async () => {
  const bench = new Bench({ dialling: (count) => count > 1 && count < 6 ? refuse() : undefined });
  bench.want("a");
  await settle();
  for (const connection of [1, 2]) {
    bench.network.last.close();
    await bench.clock.advance(60_000);
    assertEquals(bench.network.connections.length, connection + 1);
  }
  assertEquals(bench.told.filter((line) => line.startsWith("reconnecting")), [
    "reconnecting 1 in 50 ms",
    "reconnecting 2 in 100 ms",
    "reconnecting 3 in 200 ms",
    "reconnecting 4 in 400 ms",
    "reconnecting 5 in 800 ms",
    "reconnecting 1 in 50 ms",
  ]);
});

test("what a lost connection has us do is part of the wait", async () => {
  for (const [lostMs, leftMs] of [[20, 30], [60, 0]] as const) {
    const bench = new Bench({ lostMs });
    bench.want("a");
    await settle();
    bench.network.last.close();
    await settle();
    await bench.clock.advance(Math.max(0, leftMs - 1));
    assertEquals(bench.network.dials, leftMs > 0 ? 1 : 2);
    await bench.clock.advance(1);
    assertEquals([bench.network.dials, bench.served()], [2, ["channel a"]]);
  }
});

test("a connection that opens but never becomes ready does not start the waits over", async () => {
  const bench = new Bench({
    peer: (count) =>
      count === 1 ? {} : { answer: ([verb]) => verb === "SUBSCRIBE" ? [refusal("LOADING wait")] : undefined },
  });
  bench.want("a");
  await settle();
  bench.network.last.close();
  await bench.clock.advance(800);
  assertEquals(bench.told.filter((line) => line.startsWith("reconnecting")), [
    "reconnecting 1 in 50 ms",
    "reconnecting 2 in 100 ms",
    "reconnecting 3 in 200 ms",
    "reconnecting 4 in 400 ms",
    "reconnecting 5 in 800 ms",
  ]);
  assertEquals(bench.causes.slice(1).every((cause) => cause instanceof ReplyError && cause.code === "LOADING"), true);
});

test("a first connection that fails is told to the caller, and leaves nothing", async () => {
  const bench = new Bench({ dialling: (count) => count === 1 ? refuse() : undefined });
  const call = bench.subscribe(["a"]);
  await settle();
  assertInstanceOf(call.end, ConnectionError);
  assertEquals(bench.news(), ["connecting 1", "disconnected: ConnectionError", "abandoned: ConnectionError"]);
  assertEquals([bench.states(), bench.network.dials], [[], 1]);
  await bench.assertLeftNothing();
  // What is wanted next begins anew, without what failed.
  const next = bench.subscribe(["b"]);
  await settle();
  assertEquals([next.end, bench.served()], ["done", ["channel b"]]);
});

test("a first connection may be waited for", async () => {
  const bench = new Bench({ waitOnFirstConnect: true, dialling: (count) => count < 4 ? refuse() : undefined });
  const call = bench.subscribe(["a"]);
  await bench.clock.advance(349);
  assertEquals([call.end, bench.network.dials], ["waiting", 3]);
  await bench.clock.advance(1);
  assertEquals([call.end, bench.served()], ["done", ["channel a"]]);
});

test("a call that times out while the first connection is waited for leaves the name to its owner", async () => {
  const bench = new Bench({ waitOnFirstConnect: true, dialling: refuse });
  const call = bench.subscribe(["a"], { timeoutMs: 1_000 });
  await bench.clock.advance(1_000);
  assertInstanceOf(call.end, TimeoutError);
  assertEquals([bench.supervisor.awaits("channel", "a"), bench.states()], [false, ["a pending"]]);
});

test("after so many attempts all ends, with the last cause", async () => {
  const bench = new Bench({ reconnect: { maxAttempts: 3 }, dialling: (count) => count > 1 ? refuse() : undefined });
  bench.want("a");
  await settle();
  bench.network.last.close();
  const call = bench.subscribe(["b"]);
  await bench.clock.advance(60_000);
  assertEquals(bench.network.dials, 4);
  assertEquals(bench.told.slice(-2), ["failed: ConnectionError", "closed"]);
  assertInstanceOf(call.end, ConnectionError);
  assertEquals((call.end as ConnectionError).message, "Cannot connect to localhost:6379: connection refused");
  await bench.assertLeftNothing();
  await bench.supervisor.close();
  assertEquals(bench.told.filter((line) => line === "closed").length, 1);
});

test("without reconnecting the first loss ends all", async () => {
  const bench = new Bench({ reconnect: false });
  bench.want("a");
  await settle();
  bench.network.last.close();
  await bench.clock.advance(60_000);
  assertEquals([bench.network.dials, bench.told.slice(-2)], [1, ["failed: ConnectionError", "closed"]]);
  await bench.assertLeftNothing();
});

for (const waitOnFirstConnect of [false, true]) {
  test(`a wrong password is told at once and not tried again, waitOnFirstConnect ${waitOnFirstConnect}`, async () => {
    const bench = new Bench({ waitOnFirstConnect, answer: ([verb]) => verb === "HELLO" ? [WRONGPASS] : undefined });
    const call = bench.subscribe(["a"]);
    await bench.clock.advance(60_000);
    assertInstanceOf(call.end, ReplyError);
    assertEquals([(call.end as ReplyError).code, bench.network.dials], ["WRONGPASS", 1]);
    assertEquals(bench.states(), []);
    await bench.assertLeftNothing();
  });
}

test("a password that is found missing only by the first SUBSCRIBE is told, and leaves nothing, not even that", async () => {
  const answer = ([verb]: readonly string[]) =>
    verb === "SUBSCRIBE" ? [refusal("NOAUTH Authentication required.")] : undefined;
  const bench = new Bench({ protocol: 2, answer, dialling: (count) => count > 1 ? refuse() : undefined });
  const call = bench.subscribe(["a"]);
  await bench.clock.advance(60_000);
  assertInstanceOf(call.end, ReplyError);
  assertEquals([(call.end as ReplyError).code, bench.network.dials, bench.states()], ["NOAUTH", 1, []]);
  await bench.assertLeftNothing();
  // No connection has ever been good: the next one that fails is told to its caller, too.
  const next = bench.subscribe(["a"]);
  await bench.clock.advance(60_000);
  assertInstanceOf(next.end, ConnectionError);
  assertEquals([bench.network.dials, bench.states()], [2, []]);
});

test("a password that is wrong on reconnecting is tried again at the longest wait only", async () => {
  const answer = ([verb]: readonly string[]) => verb === "HELLO" ? [WRONGPASS] : undefined;
  const bench = new Bench({ peer: (count) => count === 1 || count > 4 ? {} : { answer } });
  bench.want("a");
  await settle();
  bench.network.last.close();
  await bench.clock.advance(20_000);
  assertEquals(bench.told.filter((line) => line.startsWith("reconnecting")), [
    "reconnecting 1 in 50 ms",
    "reconnecting 2 in 5000 ms",
    "reconnecting 3 in 5000 ms",
    "reconnecting 4 in 5000 ms",
  ]);
  assertEquals(bench.served(), ["channel a"]);
});

test("a refused name fails its own call, and touches no other", async () => {
  const bench = new Bench({ answer: ([verb, name]) => verb === "SUBSCRIBE" && name === "bad" ? [NOPERM] : undefined });
  const good = bench.subscribe(["a"]);
  const bad = bench.subscribe(["bad", "b"]);
  await settle();
  assertEquals(good.end, "done");
  assertInstanceOf(bad.end, ReplyError);
  assertEquals([(bad.end as ReplyError).channel, (bad.end as ReplyError).code], ["bad", "NOPERM"]);
  assertEquals(bench.states(), ["a subscribed", "bad denied", "b subscribed"]);
  assertEquals(bench.told.slice(-1), ["ready"]);
});

test("a refused name is asked for again when it is wanted again, and by the next connection", async () => {
  let refused = 2;
  const bench = new Bench({ answer: ([verb]) => verb === "SUBSCRIBE" && refused-- > 0 ? [NOPERM] : undefined });
  assertInstanceOf(await ended(bench.subscribe(["a"])), ReplyError);
  assertInstanceOf(await ended(bench.subscribe(["a"])), ReplyError);
  assertEquals(await ended(bench.subscribe(["a"])), "done");
  assertEquals(bench.states(), ["a subscribed"]);
});

test("a name that was refused by one connection and is acknowledged by the next is denied no longer", async () => {
  const answer = ([verb]: readonly string[]) => verb === "SUBSCRIBE" ? [NOPERM] : undefined;
  const bench = new Bench({ peer: (count) => count === 1 ? { answer } : {} });
  assertInstanceOf(await ended(bench.subscribe(["a"])), ReplyError);
  bench.network.last.close();
  await bench.clock.advance(60_000);
  assertEquals([bench.states(), bench.supervisor.has("channel", "a")], [["a subscribed"], true]);
});

test("to subscribe while it is down is done on the next connection's acknowledgement", async () => {
  const bench = new Bench();
  bench.want("a");
  await settle();
  bench.network.last.close();
  await settle();
  const call = bench.subscribe(["b"]);
  await settle();
  assertEquals(call.end, "waiting");
  await bench.clock.advance(50);
  assertEquals([call.end, bench.served()], ["done", ["channel a", "channel b"]]);
});

test("to unsubscribe while it is down is done at once, and the next connection knows nothing of it", async () => {
  const bench = new Bench();
  bench.want("a", "b");
  await settle();
  bench.network.last.close();
  await settle();
  const call = bench.unsubscribe(["a"]);
  await settle();
  assertEquals(call.end, "done");
  await bench.clock.advance(50);
  assertEquals(bench.network.last.peer.commands, ["HELLO 3", "SUBSCRIBE b"]);
});

test("to unsubscribe is done when the server has acknowledged it, or the connection is lost", async () => {
  const bench = new Bench({ answer: ([verb]) => verb === "UNSUBSCRIBE" ? [] : undefined });
  bench.want("a", "b");
  await settle();
  const call = bench.unsubscribe(["a"]);
  await settle();
  assertEquals([call.end, bench.states()], ["waiting", ["b subscribed", "a unsubscribing"]]);
  bench.network.last.close();
  await settle();
  assertEquals(call.end, "done");
});

test("a call to subscribe that is overtaken by one to unsubscribe comes to rest with it, and the other way round", async () => {
  const bench = new Bench();
  const first = bench.subscribe(["a"]);
  const second = bench.unsubscribe(["a"]);
  const third = bench.subscribe(["a"]);
  await settle();
  assertEquals([first.end, second.end, third.end, bench.served()], ["done", "done", "done", ["channel a"]]);
});

test("a failure to find the endpoint is a failed attempt like any other", async () => {
  const answers = [() => Promise.reject(new TypeError("no")), () => Promise.resolve({ host: "localhost", port: 1 })];
  const bench = new Bench({ waitOnFirstConnect: true, locate: () => answers.shift()!() });
  const call = bench.subscribe(["a"]);
  await settle();
  assertEquals([bench.causes[0]?.message, bench.causes[0]?.cause instanceof TypeError], [
    "Cannot find the endpoint",
    true,
  ]);
  await bench.clock.advance(50);
  assertEquals(call.end, "done");
});

test("the endpoint is looked up anew for every connection", async () => {
  let located = 0;
  const bench = new Bench({ locate: () => Promise.resolve({ host: "localhost", port: 7_000 + located++ }) });
  bench.want("a");
  await settle();
  bench.network.last.close();
  await bench.clock.advance(50);
  assertEquals(located, 2);
});

test("a server that goes silent is found out, and is replaced", async () => {
  const bench = new Bench({ keepAlive: { idleMs: 10_000, timeoutMs: 5_000 } });
  bench.want("a");
  await settle();
  bench.network.last.state = "frozen";
  await bench.clock.advance(15_100);
  assertInstanceOf(bench.causes[0], TimeoutError);
  assertEquals([bench.served(), bench.supervisor.reconnects], [["channel a"], 1]);
});

test("a shard channel that is taken away is asked for on a new connection", async () => {
  const bench = new Bench();
  bench.supervisor.want("shard", bench.supervisor.desired.enter("shard", ["s"]));
  await settle();
  bench.network.last.send(push("sunsubscribe", "s", 0));
  await bench.clock.advance(50);
  assertEquals([bench.network.dials, bench.served()], [2, ["shard s"]]);
  assertEquals(bench.causes[0]?.message, "The server took a shard channel away");
});

test("a pause holds messages back, a new connection does not remember it", async () => {
  const bench = new Bench();
  bench.want("a");
  await settle();
  bench.supervisor.pause();
  bench.network.last.send(push("message", "a", "1"), push("message", "a", "2"));
  await settle();
  assertEquals(bench.messages, []);
  bench.supervisor.resume();
  await settle();
  assertEquals(bench.messages, ["1", "2"]);
  bench.supervisor.pause();
  bench.network.last.send(push("message", "a", "3"));
  bench.network.last.close();
  await settle();
  assertEquals(bench.messages, ["1", "2"]);
  bench.supervisor.resume();
  await bench.clock.advance(50);
  bench.network.last.send(push("message", "a", "4"), push("message", "a", "5"));
  await settle();
  assertEquals(bench.messages, ["1", "2", "3", "4", "5"]);
});

test("a manual clock moves only when told", async () => {
  const clock = new ManualClock();
  const ran: number[] = [];
  for (const ms of [30, 10, 20]) clock.after(ms, () => void ran.push(clock.now() - 10_000));
  clock.after(20, () => ran.push(-1))();
  await clock.advance(20);
  assert(clock.pending === 1);
  assertEquals([ran, clock.now()], [[10, 20], 10_020]);
});

async function ended(call: { end: unknown }): Promise<unknown> {
  await settle();
  return call.end;
}
