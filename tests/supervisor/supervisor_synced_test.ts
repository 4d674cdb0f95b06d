import { assertEquals, assertRejects } from "@std/assert";
import { ConnectionError, ReplyError } from "../../src/errors.ts";
import { settle } from "../support/manual_clock.ts";
import { refuse } from "../support/model_network.ts";
import { test } from "../support/test.ts";
import { commandLines, PONG, push, refusal } from "../support/wire.ts";
import { Bench, type BenchOptions } from "./supervisor_bench.ts";

const NOPERM = refusal("NOPERM no");

/** How it ended; `waiting` until then. */
function synced(bench: Bench): { end: unknown } {
  const call: { end: unknown } = { end: "waiting" };
  bench.supervisor.synced({}).then(() => call.end = "done", (error: Error) => call.end = error.name);
  return call;
}

function sent(bench: Bench): string[] {
  return bench.network.last.writes.flatMap(commandLines);
}

test("synced is done when every wanted name is acknowledged, and fails with the one that is refused", async () => {
  const bench = new Bench({ answer: ([verb, name]) => verb === "SUBSCRIBE" && name === "bad" ? [NOPERM] : undefined });
  await bench.supervisor.synced({});
  bench.want("a");
  await bench.supervisor.synced({});
  assertEquals(bench.served(), ["channel a"]);
  bench.want("bad");
  await assertRejects(() => bench.supervisor.synced({}), ReplyError, "NOPERM");
});

/** `synced()` is called while the connection opens that takes the place of the first; that one answers so. */
async function syncedWhileOpening(answer: NonNullable<BenchOptions["answer"]>) {
  const bench = new Bench({ peer: (count) => count === 1 ? {} : { answer } });
  bench.want("a", "b");
  await settle();
  bench.network.last.close();
  await settle();
  const call = synced(bench);
  await bench.clock.advance(50);
  return { bench, call };
}

test("while a connection opens, the PING of synced goes out with the names, and is no round trip of its own", async () => {
  const { bench, call } = await syncedWhileOpening(([verb]) => verb === "HELLO" ? undefined : []);
  assertEquals([sent(bench), call.end], [["HELLO 3", "SUBSCRIBE a", "SUBSCRIBE b", "PING"], "waiting"]);
});

test("synced waits for what is asked for while its PING is on its way, and proves then that the connection lives", async () => {
  const bench = new Bench({ answer: ([verb, name]) => verb === "PING" || name === "late" ? [] : undefined });
  bench.want("a");
  await settle();
  const call = synced(bench);
  await settle();
  bench.want("late");
  await settle();
  assertEquals([sent(bench).slice(-2), call.end], [["PING", "SUBSCRIBE late"], "waiting"]);
  bench.network.last.send(PONG);
  await settle();
  assertEquals(sent(bench).at(-1), "SUBSCRIBE late");
  bench.network.last.send(push("subscribe", "late", 2));
  await settle();
  assertEquals([sent(bench).at(-1), call.end], ["PING", "waiting"]);
  bench.network.last.send(PONG);
  await settle();
  assertEquals(call.end, "done");
});

test("synced fails with a refusal that comes before the PONG, also on a connection that opens", async () => {
  const { call } = await syncedWhileOpening(([verb, name]) =>
    verb === "SUBSCRIBE" && name === "b" ? [NOPERM] : undefined
  );
  assertEquals(call.end, "ReplyError");
});

test("synced goes on where the connection is lost before the PONG, on the next one", async () => {
  const mute = (count: number) =>
    count === 1 ? { answer: ([verb]: readonly string[]) => verb === "PING" ? [] : undefined } : {};
  const bench = new Bench({ peer: mute });
  bench.want("a");
  await settle();
  const call = synced(bench);
  await settle();
  assertEquals(call.end, "waiting");
  bench.network.last.close();
  await settle();
  assertEquals(call.end, "waiting");
  await bench.clock.advance(50);
  assertEquals([call.end, bench.network.dials], ["done", 2]);
});

test("synced fails where there will be no connection, and where all is closed", async () => {
  const failing = new Bench({ dialling: refuse });
  failing.want("a");
  await assertRejects(() => failing.supervisor.synced({}), ConnectionError);

  const closing = new Bench({ dialling: () => new Promise<void>(() => {}) });
  closing.want("a");
  const call = synced(closing);
  await settle();
  await closing.supervisor.close();
  await settle();
  assertEquals(call.end, "ConnectionError");
  await assertRejects(() => closing.supervisor.synced({}), ConnectionError, "closed");
});
