import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { ConnectionError } from "../../src/errors.ts";
import { TestBroker, type TestListener } from "../../src/testing/mod.ts";
import { nodeTransport } from "../../src/transport/node.ts";
import { testUnless } from "../support/skip.ts";
import { test } from "../support/test.ts";
import { RawClient } from "../testing/raw_client.ts";

function dial({ host, port, path }: TestListener): RawClient {
  return new RawClient(nodeTransport(path === undefined ? connect(port, host) : connect(path), "the test broker"));
}

test("The broker answers behind a real socket, and shares its clients with memory", async () => {
  await using broker = new TestBroker();
  await using listener = await broker.listen({ port: 0 });
  assertEquals(listener.url, `redis://127.0.0.1:${listener.port}`);
  const far = dial(listener);
  assertEquals(await far.ask("SUBSCRIBE news"), "*3↵$9↵subscribe↵$4↵news↵:1↵");
  const near = await RawClient.dial(broker);
  assertEquals(await near.ask("PUBLISH news hello"), ":1↵");
  assertEquals(await far.hear(), "*3↵$7↵message↵$4↵news↵$5↵hello↵");
  assertMatch(await near.ask("CLIENT LIST") ?? "", /id=1 addr=tcp:1 .*\nid=2 addr=memory:2 /);
});

test("Faults hold for sockets too", async () => {
  await using broker = new TestBroker();
  await using listener = await broker.listen();
  const client = dial(listener);
  await client.ask("SUBSCRIBE news");
  broker.splitWrites(1);
  broker.freeze();
  broker.publish("news", "x");
  await client.say("PING");
  broker.thaw();
  const answer = "*3↵$7↵message↵$4↵news↵$1↵x↵*2↵$4↵pong↵$0↵↵";
  const heard: number[] = [];
  while (heard.length < answer.replaceAll("↵", "\r\n").length) heard.push(...await client.transport.read() ?? []);
  assertEquals(String.fromCharCode(...heard).replaceAll("\r\n", "↵"), answer);
  broker.disconnectAll();
  assertEquals(await client.hear(), undefined);
  broker.refuseConnections();
  assertEquals(await dial(listener).hear(), undefined);
  broker.acceptConnections();
  broker.splitWrites(Infinity);
  assertEquals(await dial(listener).ask("PING"), "+PONG↵");
});

test("QUIT is answered before the socket closes", async () => {
  await using broker = new TestBroker();
  await using listener = await broker.listen();
  const client = dial(listener);
  assertEquals(await client.ask("QUIT"), "+OK↵");
  assertEquals(await client.hear(), undefined);
});

test("A closed listener takes its clients with it and leaves the others", async () => {
  await using broker = new TestBroker();
  const near = await RawClient.dial(broker);
  const [first, second] = [await broker.listen(), await broker.listen()];
  const [mine, other] = [dial(first), dial(second)];
  await mine.ask("SUBSCRIBE news");
  await other.ask("PING");
  await Promise.all([first.close(), first.close(), first[Symbol.asyncDispose]()]);
  assertEquals([await mine.hear(), broker.subscriberCount("news")], [undefined, 0]);
  assertEquals([await other.ask("PING"), await near.ask("PING")], ["+PONG↵", "+PONG↵"]);
  await assertRejects(() => dial(first).ask("PING"), ConnectionError);
});

test("A listener that closes while frozen leaves no client behind", async () => {
  await using broker = new TestBroker();
  const listener = await broker.listen();
  await dial(listener).ask("SUBSCRIBE news");
  broker.freeze();
  await listener.close();
  assertEquals([broker.connectionCount, broker.subscriberCount("news")], [0, 0]);
});

test("A closed broker has closed its listeners, also one that was only about to listen", async () => {
  const broker = new TestBroker();
  const listener = await broker.listen();
  const client = dial(listener);
  await client.ask("PING");
  const late = assertRejects(() => broker.listen(), ConnectionError, "was closed meanwhile");
  await broker.close();
  await late;
  assertEquals(await client.hear(), undefined);
  await assertRejects(() => dial(listener).ask("PING"), ConnectionError);
  await listener.close();
});

test("A port that is taken is told", async () => {
  await using broker = new TestBroker();
  await using listener = await broker.listen();
  await assertRejects(() => broker.listen({ port: listener.port }), ConnectionError, "already in use");
});

testUnless(process.platform === "win32" ? "no unix sockets" : undefined, "A unix socket will do", async () => {
  const folder = mkdtempSync(join(tmpdir(), "earshot broker "));
  const path = join(folder, "redis.sock");
  try {
    await using broker = new TestBroker();
    await using listener = await broker.listen({ path });
    assertEquals([listener.path, listener.url], [path, `unix://${path.replaceAll(" ", "%20")}`]);
    assertEquals(await dial(listener).ask("PING"), "+PONG↵");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
