import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import type { CallOptions } from "../../src/connection/wait.ts";
import { Calls, type Standing, type Wanted } from "../../src/supervisor/calls.ts";
import { ConnectionError, ReplyError, type TimeoutError } from "../../src/errors.ts";
import { Desired } from "../../src/protocol/subscriptions.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";

const refused = new ReplyError("NOPERM no", "SUBSCRIBE", { channel: "a" });
const closed = new ConnectionError("Closed");

/** Calls over channels whose standing is set by hand. */
class Bench {
  readonly clock = new ManualClock();
  readonly standing = new Map<string, Standing>();
  readonly desired = new Desired();
  readonly calls = new Calls(
    this.desired,
    { standings: (names) => names.map(({ name }) => this.standing.get(name) ?? "unsettled"), known: "refusals" },
    this.clock,
  );

  /** How each call ended so far. */
  readonly ends: unknown[] = [];

  wait(names: string, options: CallOptions = {}, wants: Wanted = "present"): Promise<void> {
    const kinded = [...names].map((name) => ({ kind: "channel" as const, name }));
    const promise = this.calls.wait("SUBSCRIBE", wants, kinded, options);
    promise.then(() => this.ends.push("done"), (error) => this.ends.push(error));
    return promise;
  }

  set(name: string, standing: Standing): void {
    this.standing.set(name, standing);
    this.calls.look("channel", name);
  }

  /** Which of the names are waited for. */
  awaited(names: string): string {
    return [...names].filter((name) => this.calls.has("channel", name)).join("");
  }
}

test("a call whose names are at rest is done at once", async () => {
  const bench = new Bench();
  bench.standing.set("a", "settled");
  await bench.wait("a");
  await bench.wait("");
  assertEquals(bench.awaited("a"), "");
});

test("a call is done when the last of its names comes to rest", async () => {
  const bench = new Bench();
  bench.wait("abb");
  bench.set("a", "settled");
  bench.set("a", "settled");
  await settle();
  assertEquals([bench.ends, bench.awaited("ab")], [[], "b"]);
  bench.set("b", "settled");
  await settle();
  assertEquals([bench.ends, bench.awaited("ab")], [["done"], ""]);
});

test("a look at a name that is not at rest changes nothing", async () => {
  const bench = new Bench();
  bench.wait("a");
  bench.set("a", "unsettled");
  await settle();
  assertEquals([bench.ends, bench.awaited("a")], [[], "a"]);
});

test("several calls that wait for one name are done together, each with its own others", async () => {
  const bench = new Bench();
  bench.wait("a");
  bench.wait("ab");
  bench.wait("a", {}, "absent");
  bench.set("a", "settled");
  await settle();
  assertEquals([bench.ends, bench.awaited("ab")], [["done", "done"], "b"]);
});

test("a refusal is told once every name is at rest, and is the first of them", async () => {
  const bench = new Bench();
  const other = new ReplyError("NOPERM no", "SUBSCRIBE", { channel: "b" });
  bench.wait("abc");
  bench.wait("c");
  bench.set("a", refused);
  bench.set("b", other);
  await settle();
  assertEquals(bench.ends, []);
  bench.set("c", "settled");
  await settle();
  assertEquals(bench.ends.length, 2);
  assertStrictEquals(bench.ends[0], refused);
  assertEquals(bench.ends[1], "done");
});

test("a name that is refused already fails the call at once", async () => {
  const bench = new Bench();
  bench.standing.set("a", refused);
  assertStrictEquals(await assertRejects(() => bench.wait("a"), ReplyError), refused);
});

test("a name of another kind is another name", () => {
  const bench = new Bench();
  bench.wait("a");
  assertEquals([bench.calls.has("channel", "a"), bench.calls.has("pattern", "a")], [true, false]);
});

test("a call that times out is forgotten, and its neighbour waits on", async () => {
  const bench = new Bench();
  bench.wait("ab", { timeoutMs: 100 });
  bench.wait("b");
  await bench.clock.advance(100);
  await settle();
  assertEquals(bench.ends.length, 1);
  assertEquals((bench.ends[0] as TimeoutError).message, "No answer within 100 ms: SUBSCRIBE");
  assertEquals([bench.awaited("ab"), bench.clock.pending], ["b", 0]);
  bench.set("b", "settled");
  await settle();
  assertEquals(bench.ends.slice(1), ["done"]);
});

test("a call that is aborted is forgotten, with the reason of its signal", async () => {
  const bench = new Bench();
  const abort = new AbortController();
  const reason = new Error("enough");
  bench.wait("a", { signal: abort.signal, timeoutMs: 100 });
  abort.abort(reason);
  await settle();
  assertStrictEquals(bench.ends[0], reason);
  assertEquals([bench.awaited("a"), bench.clock.pending], ["", 0]);
});

test("a call whose signal is aborted already does not wait, even where it would be done at once", async () => {
  const bench = new Bench();
  bench.standing.set("a", "settled");
  await assertRejects(() => bench.wait("a", { signal: AbortSignal.abort(new Error("enough")) }), Error, "enough");
  assertEquals(bench.awaited("a"), "");
});

test("a look at everything settles what has come to rest, of every kind", async () => {
  const bench = new Bench();
  bench.wait("abc");
  const pattern = bench.calls.wait("PSUBSCRIBE", "present", [{ kind: "pattern", name: "b" }], {});
  bench.standing.set("a", "settled").set("b", "settled");
  bench.calls.lookAtAll();
  await pattern;
  assertEquals([bench.awaited("abc"), bench.ends], ["c", []]);
});

test("at the end calls that want names present fail, the others have what they want, and nothing waits", async () => {
  const bench = new Bench();
  bench.wait("ab");
  bench.wait("ab", {}, "absent");
  bench.wait("b", { timeoutMs: 100 });
  bench.calls.end(closed);
  await settle();
  assertEquals(bench.ends.length, 3);
  assertEquals(bench.ends.filter((end) => end === closed).length, 2);
  assertEquals(bench.ends.filter((end) => end === "done").length, 1);
  assertEquals([bench.awaited("ab"), bench.clock.pending], ["", 0]);
});

test("a refusal fails the calls that want the name present, and is what the others wait for", async () => {
  const bench = new Bench();
  bench.wait("a");
  bench.wait("a", {}, "absent");
  bench.set("a", refused);
  await settle();
  await bench.wait("a", {}, "absent");
  assertEquals(bench.ends, [refused, "done", "done"]);
});

test("names that come to rest in a row are looked at together", async () => {
  const bench = new Bench();
  bench.wait("abc");
  bench.wait("bx");
  const places = [..."abc"].map((name) => bench.desired.entry("channel", name));
  bench.calls.settled(places, 1, 3);
  await settle();
  assertEquals([bench.ends, bench.awaited("abcx")], [[], "ax"]);
  bench.calls.settled(places, 0, 3);
  bench.set("x", "settled");
  await settle();
  assertEquals([bench.ends, bench.awaited("abcx")], [["done", "done"], ""]);
});
