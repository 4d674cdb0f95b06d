import { assertEquals } from "@std/assert";
import { settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";
import { push } from "../support/wire.ts";
import { Bench } from "./supervisor_bench.ts";

test("what was missed by who did not read counts from the last that was heard before", async () => {
  const bench = new Bench();
  bench.want("a");
  await bench.clock.advance(1_000);
  bench.network.last.send(push("message", "a", "before"));
  await settle();
  bench.supervisor.pause();
  for (let i = 0; i < 3; i++) bench.network.last.send(push("message", "a", String(i)));
  await bench.clock.advance(20_000);
  bench.supervisor.resume();
  bench.network.last.close();
  await settle();
  assertEquals([bench.messages, bench.news().find((line) => line.startsWith("lost"))], [
    ["before", "0", "1", "2"],
    "lost 1 since 1000",
  ]);
});
