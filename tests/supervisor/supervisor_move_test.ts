import { assertEquals } from "@std/assert";
import { settle } from "../support/manual_clock.ts";
import type { ModelConnection } from "../support/model_network.ts";
import { test } from "../support/test.ts";
import { PONG, push } from "../support/wire.ts";
import { Bench } from "./supervisor_bench.ts";

const PUBLISHED = { type: "integer", value: 2n } as const;

/** The server announces its move of this number: the connections from where and to where it goes. */
async function setOut(bench: Bench, sequence: number): Promise<[from: ModelConnection, to: ModelConnection]> {
  const from = bench.network.last;
  from.send(push("MOVING", sequence, 30, `new-${sequence}:7000`));
  await settle();
  return [from, bench.network.last];
}

test("to unsubscribe while it moves is done when the new connection takes over, though that had let go of the name before", async () => {
  const bench: Bench = new Bench({
    peer: (count) => ({
      answer: ([verb, name]) => {
        if (verb === "PUBLISH") return [PUBLISHED];
        // The new server confirms when the test says so.
        return count === 2 && verb === "SUBSCRIBE" && name !== "n" ? [] : undefined;
      },
    }),
  });
  const confirm = async (server: ModelConnection, name: string) => {
    server.send(push("subscribe", name, 1));
    await settle();
  };
  bench.subscribe(["n"]);
  await settle();
  const [from, to] = await setOut(bench, 1);
  const subscribed = bench.subscribe(["guest"]);
  await settle();
  assertEquals(subscribed.end, "done", "the old connection has it");
  await confirm(to, bench.fence);
  // From here on it is held back: the old connection keeps the name, the new one lets go of it by itself.
  const gone = bench.unsubscribe(["guest"]);
  await confirm(to, "guest");
  assertEquals(to.peer.commands.filter((line) => line.endsWith(" guest")), ["SUBSCRIBE guest", "UNSUBSCRIBE guest"]);
  assertEquals([gone.end, bench.states()], ["waiting", ["n subscribed", "guest unsubscribing"]]);
  for (const server of [from, to]) server.send(push("message", bench.fence, ""));
  await settle();
  assertEquals([gone.end, bench.states()], ["done", ["n subscribed"]]);
  assertEquals(bench.told.slice(-2), ["unsubscribed guest", "ready"]);
  await bench.supervisor.close();
  await bench.assertLeftNothing();
});

test("The old connection ends while its move is under way: its names are pending, and synced() waits for the new one", async () => {
  const bench: Bench = new Bench({
    peer: (count) => ({
      answer: ([verb]) => {
        if (verb === "PUBLISH") return [PUBLISHED];
        // The new server says when the move is over.
        return count === 2 && verb === "PING" ? [] : undefined;
      },
    }),
  });
  bench.subscribe(["n"]);
  await settle();
  const [from, to] = await setOut(bench, 1);
  from.close();
  await settle();
  const pings = to.peer.commands.filter((line) => line === "PING").length;
  // Were it still subscribed, synced() would ask a connection that has ended, for ever and in this very turn.
  assertEquals([bench.states(), pings], [["n pending"], 2]);
  let end = "waiting";
  const synced = bench.supervisor.synced({}).then(() => end = "done");
  await settle();
  assertEquals(end, "waiting");
  to.send(...new Array(pings).fill(PONG));
  await settle();
  assertEquals([bench.states(), to.peer.commands.filter((line) => line === "PING").length], [["n subscribed"], 3]);
  to.send(PONG);
  await synced;
  await bench.supervisor.close();
  await bench.assertLeftNothing();
});

test("a name stands on the live connection only: after a loss, a move, and a move that failed", async () => {
  const bench: Bench = new Bench({ answer: ([verb]) => verb === "PUBLISH" ? [PUBLISHED] : undefined });
  bench.subscribe(["n", "m"]);
  await settle();
  bench.network.last.close();
  await bench.clock.advance(50);
  assertEquals([bench.kept(), bench.states()], [[1, 1], ["n subscribed", "m subscribed"]]);

  const [from, to] = await setOut(bench, 1);
  assertEquals(bench.kept(), [2, 2, 2]);
  for (const server of [from, to]) server.send(push("message", bench.fence, ""));
  await settle();
  assertEquals([bench.kept(), bench.states()], [[1, 1], ["n subscribed", "m subscribed"]]);

  const [, newer] = await setOut(bench, 2);
  assertEquals(bench.kept(), [2, 2, 2]);
  newer.close();
  await settle();
  assertEquals([bench.kept(), bench.states()], [[1, 1], ["n subscribed", "m subscribed"]]);
  bench.news();
  // What it had is still known when it is lost.
  to.close();
  await settle();
  assertEquals([bench.news()[0], bench.kept()], ["lost 2 since 50", [0, 0]]);
  await bench.supervisor.close();
  await bench.assertLeftNothing();
});

test("a name that is let go of as its connection breaks is forgotten", async () => {
  const bench = new Bench();
  bench.subscribe(["n", "m"]);
  await settle();
  bench.drop("m");
  bench.network.last.close();
  await bench.clock.advance(50);
  assertEquals([bench.kept(), bench.served()], [[1], ["channel n"]]);
});
