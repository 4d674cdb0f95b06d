import { assert, assertEquals, assertMatch } from "@std/assert";
import { deadline } from "@std/async";
import { Client } from "@earshot/redis";
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { startServer } from "../support/redis_server.ts";
import { test } from "../support/test.ts";

const ENTRY = fileURLToPath(import.meta.resolve("@earshot/redis"));
const DENO = "Deno" in globalThis;

/** The folder of the sources, or of the installed package. */
function root(): string {
  let folder = dirname(ENTRY);
  while (!existsSync(join(folder, "README.md"))) {
    assert(folder !== dirname(folder), `There is no README.md above ${ENTRY}`);
    folder = dirname(folder);
  }
  return folder;
}

/** The program that README begins with. */
function firstProgram(): string {
  const [, program = ""] = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(root(), "README.md"), "utf8")) ?? [];
  return program;
}

/** Whether this runtime knows `await using`; older ones need a compiler, or `const` and `close()`. */
function knowsUsing(): boolean {
  try {
    new Function("return async () => { await using nothing = null; };");
    return true;
  } catch {
    return false;
  }
}

test("The program that README begins with prints what is published", async () => {
  const program = firstProgram();
  assertMatch(program, /redis:\/\/localhost:6379/);
  assertMatch(program, /await using/);
  await using server = await startServer();
  // Beside the tests, so that the installed package is found.
  const file = fileURLToPath(new URL(`readme-${process.pid}.mjs`, import.meta.url));
  const here = program.replace("redis://localhost:6379", server.url)
    .replace('"@earshot/redis"', DENO ? JSON.stringify(pathToFileURL(ENTRY).href) : "$&");
  await writeFile(file, knowsUsing() ? here : here.replace("await using", "const"));
  const args = DENO ? ["run", "--no-prompt", `--allow-net=${server.host}:${server.port}`, file] : [file];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  try {
    await using redis = new Client(server.url);
    let out = "";
    let notes = "";
    child.stderr.on("data", (chunk: Uint8Array) => notes += new TextDecoder().decode(chunk));
    const heard = new Promise<void>((resolve, reject) => {
      child.stdout.on("data", (chunk: Uint8Array) => {
        out += new TextDecoder().decode(chunk);
        if (out.includes("\n")) resolve();
      });
      child.once("exit", () => reject(new Error(`It ended: ${notes}`)));
    });
    const told = (async () => {
      while (await redis.publish("news", "hello") === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    })();
    await deadline(Promise.all([heard, told]), 20_000);
    assertEquals([out.trimEnd(), notes], ["news hello", ""]);
  } finally {
    child.kill();
    await rm(file);
  }
});
