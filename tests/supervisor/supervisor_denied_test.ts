/** A name that the server refuses though it was subscribed to before is asked for again, until it is granted. */
import { assertEquals, assertInstanceOf } from "@std/assert";
import { ReplyError } from "../../src/errors.ts";
import { settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";
import { refusal } from "../support/wire.ts";
import { Bench, type BenchOptions } from "./supervisor_bench.ts";

const NOPERM = refusal("NOPERM no");

/** A server that refuses some names, from the second connection on; and a supervisor that had them all before. */
async function refusing(names: string[], options: BenchOptions = {}): Promise<{ bench: Bench; refused: Set<string> }> {
  const refused = new Set<string>();
  const bench = new Bench({
    answer: ([verb, name]) => verb === "SUBSCRIBE" && refused.has(name!) ? [NOPERM] : undefined,
    deniedRetryMs: 30_000,
    ...options,
  });
  bench.want("a", "b", "c");
  await settle();
  for (const name of names) refused.add(name);
  bench.network.last.close();
  await bench.clock.advance(50);
  return { bench, refused };
}

function asked(bench: Bench, name: string): number {
  return bench.network.last.peer.commands.filter((command) => command === `SUBSCRIBE ${name}`).length;
}

test("a refused name is asked for again every retryMs, and told as refused once", async () => {
  const { bench } = await refusing(["b"]);
  assertEquals(bench.states(), ["a subscribed", "b denied", "c subscribed"]);
  bench.news();
  await bench.clock.advance(29_999);
  assertEquals(asked(bench, "b"), 1);
  await bench.clock.advance(1);
  assertEquals(asked(bench, "b"), 2);
  await bench.clock.advance(60_000);
  assertEquals([asked(bench, "b"), bench.news(), bench.states()[1]], [4, [], "b denied"]);
});

test("a name that is granted later recovers by itself, and what it lost is told at once", async () => {
  const { bench, refused } = await refusing(["b"]);
  refused.clear();
  bench.news();
  await bench.clock.advance(30_000);
  assertEquals(bench.news(), ["subscribed b", "recovered since 0: b, reconnect,denied"]);
  assertEquals(bench.states(), ["a subscribed", "b subscribed", "c subscribed"]);
  await bench.clock.advance(60_000);
  assertEquals([asked(bench, "b"), bench.clock.pending], [2, 0]);
  // The next loss is a loss of its own.
  bench.network.last.close();
  await bench.clock.advance(50);
  assertEquals(bench.news().at(-1), "recovered since 30050");
});

test("of several names each is told when it is granted", async () => {
  const { bench, refused } = await refusing(["b", "c"]);
  refused.delete("c");
  bench.news();
  await bench.clock.advance(30_000);
  assertEquals(bench.news(), ["subscribed c", "recovered since 0: c, reconnect,denied"]);
  refused.delete("b");
  await bench.clock.advance(30_000);
  assertEquals(bench.news(), ["subscribed b", "recovered since 0: b, reconnect,denied"]);
});

test("the next connection asks at once, and its refusal is news", async () => {
  const { bench } = await refusing(["b"]);
  bench.news();
  bench.network.last.close();
  await bench.clock.advance(50);
  assertEquals(bench.news().filter((line) => line.startsWith("denied")), ["denied b: NOPERM"]);
  await bench.clock.advance(30_000);
  assertEquals(asked(bench, "b"), 2);
});

test("a call for a name that is refused meanwhile asks at once, and has its own answer", async () => {
  const { bench, refused } = await refusing(["b"]);
  const first = bench.subscribe(["b"]);
  await settle();
  assertInstanceOf(first.end, ReplyError);
  refused.clear();
  const second = bench.subscribe(["b"]);
  await settle();
  assertEquals([second.end, asked(bench, "b")], ["done", 3]);
});

test("when the last refused name is wanted no longer, the loss is over", async () => {
  const { bench } = await refusing(["b", "c"]);
  bench.news();
  bench.drop("b");
  assertEquals(bench.news(), []);
  bench.drop("c");
  assertEquals(bench.news(), ["recovered since 0"]);
  await bench.clock.advance(60_000);
  assertEquals([asked(bench, "b"), asked(bench, "c"), bench.clock.pending], [1, 1, 0]);
});

test("without retryMs only the next connection asks again", async () => {
  const { bench } = await refusing(["b"], { deniedRetryMs: Infinity });
  await bench.clock.advance(3_600_000);
  assertEquals([asked(bench, "b"), bench.clock.pending], [1, 0]);
});

test("to close leaves no attempt behind", async () => {
  const { bench } = await refusing(["b"]);
  await bench.supervisor.close();
  await bench.assertLeftNothing();
});
