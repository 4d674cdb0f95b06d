import { assertEquals } from "@std/assert";
import { settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";
import { Bench } from "./supervisor_bench.ts";

test("where nobody listens to events, none is told of many names, and calls are done all the same", async () => {
  const bench = new Bench();
  bench.hearsEvents = false;
  const names = Array.from({ length: 600 }, (_, i) => `n${i}`);
  const first = bench.subscribe(names);
  await settle();
  assertEquals([first.end, bench.news(), bench.served().length], [
    "done",
    ["connecting 1", "connected 3", "ready"],
    600,
  ]);
  bench.network.last.close();
  await settle();
  await bench.clock.advance(1_000);
  assertEquals(bench.states().filter((state) => state.endsWith(" subscribed")).length, 600);
  const last = bench.unsubscribe(names);
  await settle();
  assertEquals([last.end, bench.served(), bench.news().filter((line) => line.includes("subscribed"))], [
    "done",
    [],
    [],
  ]);
});
