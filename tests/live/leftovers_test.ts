import { assert, assertEquals } from "@std/assert";
import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { commonGround, inTime, RESP2, RESP3 } from "../support/ground.ts";

const each = await commonGround();

const NODE = !("Deno" in globalThis);
const PROGRAM = fileURLToPath(new URL(`../support/leftovers.${NODE ? "mjs" : "ts"}`, import.meta.url));
const RUN = NODE ? [PROGRAM] : ["run", "--no-lock", "--allow-net", "--allow-env", PROGRAM];
/** What a process takes to end, and a busy machine, in milliseconds. */
const SLACK_MS = 2_000;

each(
  "After close() no timer and no socket is left, and nothing keeps the program alive",
  async ({ server, dialect }) => {
    const child = spawn(process.execPath, [...RUN, String(server.port), String(dialect.protocol)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      let [said, saidAt] = ["", 0];
      child.stdout.on("data", (chunk: Uint8Array) => {
        said += new TextDecoder().decode(chunk);
        saidAt = performance.now();
      });
      const code = await inTime(new Promise((resolve) => child.once("close", resolve)));
      const tookMs = performance.now() - saidAt;
      const { before, after } = JSON.parse(said);
      assertEquals([code, after], [0, before]);
      assert(tookMs < SLACK_MS, `It took ${tookMs} ms to end`);
    } finally {
      child.kill("SIGKILL");
    }
  },
  [RESP3, RESP2],
);
