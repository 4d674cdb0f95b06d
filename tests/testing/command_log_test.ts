import { assertEquals } from "@std/assert";
import { CommandLog } from "../../src/testing/command_log.ts";
import { test } from "../support/test.ts";

test("The log keeps the last 10,000 commands, in order", () => {
  const log = new CommandLog();
  for (let n = 0; n < 25_000; n++) log.add(["PING", String(n)]);
  const list = log.list();
  assertEquals([list.length, list[0], list.at(-1)], [10_000, ["PING", "15000"], ["PING", "24999"]]);
});

test("The log keeps at most 1 MiB of text, and always the newest command", () => {
  const log = new CommandLog();
  for (let n = 0; n < 2_000; n++) log.add(["PUBLISH", "x".repeat(1_000)]);
  const size = log.list().flat().join("").length;
  assertEquals(size < 1_048_576 && size > 1_000_000, true, `${size} characters`);
  const names = Array.from({ length: 2_000 }, () => "n".repeat(1_000));
  log.add(names);
  assertEquals(log.list(), [names]);
  log.add(["PING"]);
  assertEquals(log.list(), [["PING"]]);
});

test("The log cuts long words short", () => {
  const log = new CommandLog();
  log.add(["ECHO", "x".repeat(1_024), "x".repeat(1_025)]);
  assertEquals(log.list(), [["ECHO", "x".repeat(1_024), "x".repeat(1_024) + "…"]]);
});

test("What the log hands out is a copy", () => {
  const log = new CommandLog();
  log.add(["PING"]);
  log.list()[0]!.push("changed");
  assertEquals(log.list(), [["PING"]]);
});
