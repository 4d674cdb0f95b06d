import { assertEquals } from "@std/assert";
import { fit, type Found, MIN_NODE, NODE_LINES, nodeOnPath, unique } from "../../scripts/runtimes.ts";
import { test } from "../support/test.ts";

const found = (title: string): Found => ({ kind: "found", runtime: { kind: "Node", title, program: "/bin/node" } });

test("A version that two lines lead to is tested once, and what is missing is never left out", () => {
  const missing: Found = { kind: "missing", title: "Node 22", reason: "no network" };
  const all = [found("Node 24.1.0"), missing, found("Node 26.0.0"), missing, found("Node 26.0.0")];
  assertEquals(unique(all), [found("Node 24.1.0"), missing, found("Node 26.0.0"), missing]);
});

test("The least Node is tested, and the newest", () => {
  assertEquals([NODE_LINES[0], NODE_LINES.at(-1)], [String(MIN_NODE), "latest"]);
});

test("The Node on the PATH is told with its version and its path", async () => {
  const onPath = await nodeOnPath();
  if (onPath.kind === "missing") throw new Error(onPath.reason);
  assertEquals(/^Node \d+\.\d+\.\d+$/.test(onPath.runtime.title), true);
  assertEquals((await Deno.stat(onPath.runtime.program)).isFile, true);
});

test("Where servers are containers, a Node that testcontainers does not run on is told, and nothing else changes", () => {
  const all = [found("Node 20.1.0"), found("Node 22.0.0")];
  assertEquals(fit(all, "binary"), all);
  assertEquals(fit(all, "container"), [
    { kind: "missing", title: "Node 20.1.0", reason: "testcontainers needs Node 22" },
    found("Node 22.0.0"),
  ]);
});
