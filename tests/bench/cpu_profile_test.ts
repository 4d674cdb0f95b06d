import { assertEquals } from "@std/assert";
import { shares } from "../../bench/cpu_profile.ts";
import { test } from "../support/test.ts";

const BUNDLE = `import x from "x";
// src/ring.ts
class Ring {}
// src/run/run.ts
class Run {}
// bench/consumers/tally.ts
function add() {}`;

/** A profile of one sample for each frame, each after so many microseconds. */
function profile(...frames: [functionName: string, url: string, lineNumber: number, took: number][]) {
  return {
    nodes: frames.map(([functionName, url, lineNumber], id) => ({ id, callFrame: { functionName, url, lineNumber } })),
    samples: frames.map((_, id) => id),
    timeDeltas: frames.map(([, , , took]) => took),
  };
}

test("Samples of sources are told by room", () => {
  const at = "file:///project/";
  const found = shares(
    profile(
      ["take", `${at}src/run/run.ts`, 7, 100],
      ["push", `${at}src/ring.ts`, 7, 100],
      ["add", `${at}bench/consumers/tally.ts`, 7, 100],
      ["read", "ext:deno_net/01_net.js", 7, 200],
      ["(garbage collector)", "", -1, 400],
      ["(program)", "", -1, 100],
    ),
    1_000,
  );
  assertEquals(Object.fromEntries(found), {
    "run": 0.1,
    "layer 0": 0.1,
    "the consumer": 0.1,
    "the runtime's JavaScript": 0.2,
    "garbage collector": 0.4,
    "native code, kernel": 0.1,
  });
});

test("Samples of a bundle are told by the file above them, and those of the module itself are the consumer's", () => {
  const found = shares(
    profile(
      ["Ring", "file:///out.mjs", 2, 100],
      ["Run", "file:///out.mjs", 4, 100],
      ["add", "file:///out.mjs", 6, 100],
      ["", "file:///out.mjs", 0, 100],
    ),
    1_000,
    BUNDLE,
  );
  assertEquals(Object.fromEntries(found), { "layer 0": 0.25, "run": 0.25, "the consumer": 0.5 });
});

test("Only the end of a profile counts, and only what was busy", () => {
  const found = shares(
    profile(["warm", "file:///src/resp/reader.ts", 1, 5_000], ["(idle)", "", -1, 500], [
      "x",
      "file:///src/run/run.ts",
      1,
      500,
    ]),
    1,
  );
  assertEquals(Object.fromEntries(found), { run: 1 });
});
