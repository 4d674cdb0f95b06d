import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Client } from "@earshot/redis";
import { TestBroker } from "@earshot/redis/testing";
import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { test } from "../support/test.ts";

const MAIN = fileURLToPath(import.meta.resolve("@earshot/redis/cli"));
const RUNTIME = "Deno" in globalThis ? ["run", "--allow-net", "--allow-env", MAIN] : [MAIN];

interface Finished {
  readonly code: number | null;
  readonly out: string;
  readonly notes: string;
}

/** The command line in a process of its own, with no REDIS_URL but that of `url`. */
function start(args: readonly string[], options: { url?: string; input?: string | Uint8Array } = {}) {
  const env = { ...process.env, REDIS_URL: options.url ?? "", NO_COLOR: "1" };
  const child = spawn(process.execPath, [...RUNTIME, ...args], { env });
  const text = { out: "", notes: "" };
  const readers: (() => void)[] = [];
  const collect = (key: keyof typeof text) => (chunk: Uint8Array) => {
    text[key] += new TextDecoder().decode(chunk);
    for (const look of readers) look();
  };
  child.stdout.on("data", collect("out"));
  child.stderr.on("data", collect("notes"));
  child.stdin.end(options.input);
  const finished = new Promise<Finished>((resolve) => child.once("close", (code) => resolve({ code, ...text })));
  /** Resolves when the output, or the remarks, hold `part`. */
  const says = (key: keyof typeof text, part: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => text[key].includes(part) && resolve();
      readers.push(look);
      look();
      finished.then(() => reject(new Error(`It ended before it said ${part}: ${JSON.stringify(text)}`)));
    });
  return { child, finished, says };
}

test("demo tells its story over real sockets with no server at hand, and exits 0", async () => {
  const { code, out } = await start(["demo"]).finished;
  const story = [
    /^server +a broker of our own/m,
    /^subscriber +SUBSCRIBE earshot:demo:\w+ at 127\.0\.0\.1:\d+: acknowledged$/m,
    /^publisher +PUBLISH "message 1": 1 receiver$/m,
    /^subscriber +got "message 1"$/m,
    /^subscriber +got "message 3"$/m,
    /^fault +the subscriber's connection is cut/m,
    /^publisher +PUBLISH "message 4": 0 receivers/m,
    /^subscriber +Lost the connection to/m,
    /^subscriber +connecting again in \d+ ms$/m,
    /^subscriber +connected again/m,
    /^subscriber +told at once: messages may be missing \(reconnect, nothing heard for \d+ ms\)$/m,
    /^subscriber +got "message 5", and with it: messages may be missing \(reconnect/m,
    /^subscriber +got "message 6"$/m,
    /^subscriber +cancelled the stream/m,
    /^server +0 subscribers left/m,
    /^done +5 of 6 messages received/m,
  ];
  let from = 0;
  for (const line of story) {
    assertMatch(out.slice(from), line);
    from += out.slice(from).search(line);
  }
  assertEquals(code, 0);
});

test("demo runs on the server of REDIS_URL", async () => {
  await using broker = new TestBroker();
  await using listener = await broker.listen({ port: 0 });
  const { code, out } = await start(["demo"], { url: listener.url }).finished;
  assertMatch(out, /^server +the server of REDIS_URL$/m);
  assertStringIncludes(out, `at 127.0.0.1:${listener.port}: acknowledged`);
  assertEquals(code, 0);
});

test("sub prints what pub publishes, tells a gap on its error output, and ends well on SIGINT", async () => {
  await using broker = new TestBroker();
  await using listener = await broker.listen({ port: 0 });
  const { url } = listener;
  const plain = start(["sub", "news", "--url", url]);
  const json = start(["sub", "-p", "n*", "-s", "news", "--json"], { url });
  await Promise.all([plain.says("notes", "Subscribed"), json.says("notes", "Subscribed")]);
  await using redis = new Client(url);
  while ((await redis.shardSubscriberCount("news")).get("news") !== 1) await redis.patternCount();

  const published = await start(["pub", "news", "hello"], { url }).finished;
  assertEquals([published.code, published.out], [0, "2 receivers\n"]);
  await Promise.all([plain.says("out", "news hello\n"), json.says("out", "hello")]);
  const shard = await start(["pub", "-s", "news", "-"], { url, input: "from stdin" }).finished;
  assertEquals([shard.code, shard.out], [0, "1 receiver\n"]);
  await json.says("out", "from stdin");
  broker.disconnectAll();
  await plain.says("notes", "Connecting again");
  const back = async () => (await redis.subscriberCount("news")).get("news") === 1 && await redis.patternCount() === 1;
  // The command connection was cut as well: a question that is on its way then fails.
  while (!await back().catch(() => false));
  await redis.publish("news", "again");
  await Promise.all([plain.says("out", "news again\n"), json.says("out", "again")]);

  // Not `child.kill`: on Deno it tells its own signal as the end of the process, whatever that made of it.
  for (const { child } of [plain, json]) process.kill(child.pid!, "SIGINT");
  const [first, second] = await Promise.all([plain.finished, json.finished]);
  assertEquals([first.code, first.out], [0, "news hello\nnews again\n"]);
  assertMatch(first.notes, /^gap: messages may be missing \(reconnect, nothing heard for \d+ ms\)$/m);
  assertEquals(second.code, 0);
  const messages = second.out.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(messages.map(({ kind, channel, payload }) => [kind, channel, payload]), [
    ["pattern", "news", "hello"],
    ["shard", "news", "from stdin"],
    ["pattern", "news", "again"],
  ]);
  assertEquals(messages[2].gap.reasons, ["reconnect"]);
  assertEquals(broker.subscriberCount("news"), 0);
});

test("Misuse exits 2 and says what is wrong", async () => {
  const cases: [string[], string][] = [
    [[], "Usage:"],
    [["listen"], 'Unknown command: "listen"'],
    [["sub"], "sub needs a channel"],
    [["sub", "news", "--colour"], "--colour"],
    [["pub", "news"], "pub needs a channel and a payload"],
    [["sub", "news", "--url", "http://localhost"], "scheme"],
    [["demo", "now"], "now"],
  ];
  const results = await Promise.all(cases.map(([args]) => start(args).finished));
  for (const [i, { code, notes, out }] of results.entries()) {
    assertEquals([code, out], [2, ""], JSON.stringify(cases[i]));
    assertStringIncludes(notes, cases[i]![1]);
    assert(!notes.includes("at file:"), "A person needs no stack");
  }
});

test("What fails exits 1 and says why, without the password", async () => {
  const results = await Promise.all([
    start(["pub", "news", "hello", "--url", "redis://user:hunter22@127.0.0.1:1"]).finished,
    start(["sub", "news", "--url", "redis://user:hunter22@127.0.0.1:1"]).finished,
  ]);
  for (const { code, notes } of results) {
    assertEquals(code, 1);
    assertStringIncludes(notes, "127.0.0.1:1");
    assertStringIncludes(notes, "refused");
    assert(!notes.includes("hunter22"));
  }
});

test("--help exits 0", async () => {
  const { code, out } = await start(["--help"]).finished;
  assertEquals(code, 0);
  assertStringIncludes(out, "pub NAME PAYLOAD");
});
