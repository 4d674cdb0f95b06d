/** What a program on Deno must be allowed: the server's address, and what it names itself; not a thing more. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { TestBroker } from "@earshot/redis/testing";
import { type AddressInfo, connect, type Socket } from "node:net";
import { join } from "node:path";
import { createServer } from "node:tls";
import { fileURLToPath } from "node:url";
import { certified, temporaryDirectory } from "../contract/socket_leaf.ts";
import { NOT_OURS } from "../support/ground.ts";
import { startServer } from "../support/redis_server.ts";
import { testUnless } from "../support/skip.ts";
import { test } from "../support/test.ts";

const HERE = new URL("../../", import.meta.url);
const LIFE = "tests/fixtures/permitted.ts";
/** How long a program may take, in milliseconds: one that hangs is ended, and has failed. */
const MOST_MS = 20_000;
const LIVED = { code: 0, out: "before \nafter reconnect\n", notes: "" };

/** Runs a module of the project, or a line of code, with these permissions and no question asked. */
async function run(permissions: readonly string[], program: string, ...args: string[]) {
  const isCode = program.includes("\n");
  const path = isCode ? await Deno.makeTempFile({ suffix: ".ts" }) : fileURLToPath(new URL(program, HERE));
  if (isCode) await Deno.writeTextFile(path, program);
  try {
    const flags = ["run", "--quiet", "--no-config", "--no-check", "--no-prompt"];
    const command = new Deno.Command(Deno.execPath(), {
      args: [...flags, ...permissions, path, ...args],
      env: { NO_COLOR: "1", REDIS_URL: "redis://127.0.0.1:1" },
      stdin: "null",
      signal: AbortSignal.timeout(MOST_MS),
    });
    const { code, stdout, stderr } = await command.output();
    const decoder = new TextDecoder();
    return { code, out: decoder.decode(stdout), notes: decoder.decode(stderr) };
  } finally {
    if (isCode) await Deno.remove(path);
  }
}

test("Each entry is imported, and messages go through a TestBroker in memory, with no permission at all", async () => {
  const program = `
    import { Client } from "${new URL("mod.ts", HERE)}";
    import { TestBroker } from "${new URL("src/testing/mod.ts", HERE)}";
    await using broker = new TestBroker();
    await using redis = new Client({ dial: broker.dial });
    await using news = await redis.subscribe("news");
    broker.publish("news", "hello");
    for await (const { payload } of news) {
      console.log(payload);
      break;
    }
  `;
  assertEquals(await run([], program), { code: 0, out: "hello\n", notes: "" });
  const { code, out } = await run([], "src/cli/main.ts", "--help");
  assertEquals([code, out.includes("Usage:")], [0, true]);
});

testUnless(NOT_OURS, "The address of the server is all that TCP takes, through a lost connection too", async () => {
  await using server = await startServer();
  const { host, port, url } = server;
  assertEquals(await run([`--allow-net=${host}:${port}`], LIFE, url), LIVED);
});

test("Without the address the error names the permission to give", async () => {
  await using broker = new TestBroker();
  const { url, port } = await broker.listen();
  const { code, notes } = await run(["--allow-net=127.0.0.1:1"], LIFE, url);
  assertEquals(code, 1);
  assertStringIncludes(notes, `--allow-net=127.0.0.1:${port}`);
});

test("TLS with a private CA takes the address, and the file of the CA", async () => {
  await using broker = new TestBroker();
  const { port: plain } = await broker.listen();
  const sockets: Socket[] = [];
  const front = createServer(certified("localhost"), (socket) => {
    const behind = connect(plain, "127.0.0.1");
    socket.pipe(behind).pipe(socket);
    for (const end of [socket, behind]) end.on("error", () => behind.destroy());
    sockets.push(socket, behind);
  });
  await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve));
  await using _ = {
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => front.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  const { port } = front.address() as AddressInfo;
  const ca = fileURLToPath(new URL("tests/fixtures/tls/ca.pem", HERE));
  const permissions = [`--allow-net=localhost:${port}`, `--allow-read=${ca}`];
  assertEquals(await run(permissions, LIFE, `rediss://localhost:${port}`, ca), LIVED);
});

test("A unix socket takes reading and writing of its path, and the network at that path: not one of them less", async () => {
  await using folder = await temporaryDirectory();
  await using broker = new TestBroker();
  const path = join(folder.path, "socket");
  await broker.listen({ path });
  const permissions = [`--allow-net=unix:${path}`, `--allow-read=${path}`, `--allow-write=${path}`];
  assertEquals(await run(permissions, LIFE, `unix://${path}`), LIVED);
  for (const [index] of permissions.entries()) {
    const { code, notes } = await run(permissions.toSpliced(index, 1), LIFE, `unix://${path}`);
    assertEquals([code, notes.includes(permissions.join(" ")) || notes], [1, true]);
  }
});

test("The command line needs the address alone, and without --allow-env does not look at REDIS_URL", async () => {
  await using broker = new TestBroker();
  const { port, url } = await broker.listen();
  const permission = `--allow-net=127.0.0.1:${port}`;
  assertEquals(await run([permission], "src/cli/main.ts", "pub", "news", "hello", "--url", url), {
    code: 0,
    out: "0 receivers\n",
    notes: "",
  });
  const { code, notes } = await run([permission], "src/cli/main.ts", "pub", "news", "hello");
  assertEquals(code, 1);
  assertStringIncludes(notes, "localhost:6379");
  const demo = await run(["--allow-net=127.0.0.1"], "src/cli/main.ts", "demo");
  assertEquals([demo.code, demo.notes], [0, ""]);
});
