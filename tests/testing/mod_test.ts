import { assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { ConnectionError } from "../../src/errors.ts";
import { TestBroker } from "../../src/testing/mod.ts";
import { test } from "../support/test.ts";
import { RawClient, settle } from "./raw_client.ts";

const ANYWHERE = { host: "any", port: 6379 };
const ACK = "*3↵$9↵subscribe↵$4↵news↵:1↵";

test("Clients talk to the broker over memory, and to each other through it", async () => {
  await using broker = new TestBroker();
  const [subscriber, publisher] = [await RawClient.dial(broker), await RawClient.dial(broker)];
  assertEquals(await subscriber.ask("SUBSCRIBE news"), ACK);
  assertEquals(await publisher.ask("PUBLISH news hello"), ":1↵");
  assertEquals(await subscriber.hear(), "*3↵$7↵message↵$4↵news↵$5↵hello↵");
});

test("The broker publishes and counts by itself", async () => {
  await using broker = new TestBroker();
  const client = await RawClient.dial(broker);
  await client.ask("HELLO 3");
  await client.ask("SUBSCRIBE news");
  await client.ask("PSUBSCRIBE n*");
  await client.ask("SSUBSCRIBE news");
  assertEquals(broker.publish("news", Uint8Array.of(0x61)), 2);
  assertEquals(await client.hear(), ">3↵$7↵message↵$4↵news↵$1↵a↵>4↵$8↵pmessage↵$2↵n*↵$4↵news↵$1↵a↵");
  assertEquals(broker.spublish(new TextEncoder().encode("news"), "b"), 1);
  assertEquals(await client.hear(), ">3↵$8↵smessage↵$4↵news↵$1↵b↵");
  assertEquals(
    [broker.subscriberCount("news"), broker.shardSubscriberCount("news"), broker.patternCount()],
    [1, 1, 1],
  );
  assertEquals(broker.revoke("news"), 1);
  assertEquals(await client.hear(), ">3↵$12↵sunsubscribe↵$4↵news↵:0↵");
  assertEquals([broker.connectionCount, broker.shardSubscriberCount("news")], [1, 0]);
});

test("The options are those of the server", async () => {
  await using broker = new TestBroker({ protocol: 2, password: "sesame" });
  const client = await RawClient.dial(broker);
  assertEquals((await client.ask("HELLO 3"))?.startsWith("-ERR unknown command `HELLO`"), true);
  assertEquals(await client.ask("PING"), "-NOAUTH Authentication required.↵");
  assertEquals(await client.ask("AUTH sesame"), "+OK↵");
});

test("Frozen, the broker takes bytes, answers nothing and delivers nothing; thawed, it does all of it in order", async () => {
  await using broker = new TestBroker();
  const client = await RawClient.dial(broker);
  await client.ask("SUBSCRIBE news");
  broker.freeze();
  const late = await RawClient.dial(broker);
  const heard: string[] = [];
  const hearing = client.hear().then((chunk) => heard.push(`old ${chunk}`));
  const hearingLate = late.hear().then((chunk) => heard.push(`new ${chunk}`));
  await client.say("PING");
  await late.say("PING");
  assertEquals(broker.publish("news", "x"), 1);
  await settle();
  assertEquals([heard, broker.connectionCount, broker.commands.length], [[], 2, 1]);
  broker.thaw();
  await Promise.all([hearing, hearingLate]);
  assertEquals(heard, ["old *3↵$7↵message↵$4↵news↵$1↵x↵", "new +PONG↵"]);
  assertEquals(await client.hear(), "*2↵$4↵pong↵$0↵↵");
});

test("Whatever was held is lost when a frozen broker disconnects everybody", async () => {
  await using broker = new TestBroker();
  const [client, publisher] = [await RawClient.dial(broker), await RawClient.dial(broker)];
  await client.ask("SUBSCRIBE news");
  broker.freeze();
  broker.publish("news", "x");
  await publisher.say("SET by nobody");
  broker.disconnectAll();
  assertEquals([await client.hear(), await publisher.hear()], [undefined, undefined]);
  broker.thaw();
  await settle();
  assertEquals([broker.connectionCount, broker.commands], [0, [["SUBSCRIBE", "news"]]]);
});

test("disconnectAll ends every connection and welcomes new ones", async () => {
  await using broker = new TestBroker();
  const clients = [await RawClient.dial(broker), await RawClient.dial(broker)];
  await clients[0]!.ask("SUBSCRIBE news");
  broker.disconnectAll();
  broker.disconnectAll();
  for (const client of clients) {
    assertEquals(await client.hear(), undefined);
    await assertRejects(() => client.say("PING"), ConnectionError);
  }
  assertEquals([broker.connectionCount, broker.subscriberCount("news")], [0, 0]);
  assertEquals(await (await RawClient.dial(broker)).ask("PING"), "+PONG↵");
});

test("Split writes come in pieces of that many bytes, each its own read, until they are whole again", async () => {
  await using broker = new TestBroker();
  const client = await RawClient.dial(broker);
  broker.splitWrites(3);
  await client.say("ECHO abcd", "PING");
  const pieces = [];
  for (let n = 0; n < 6; n++) pieces.push(await client.transport.read());
  assertEquals(pieces.map((piece) => piece?.length), [3, 3, 3, 3, 3, 2]);
  assertEquals(pieces.map((piece) => new TextDecoder().decode(piece)).join(""), "$4\r\nabcd\r\n+PONG\r\n");
  broker.splitWrites(Infinity);
  assertEquals(await client.ask("ECHO abcd"), "$4↵abcd↵");
});

test("A refused command is refused to everybody, until it is allowed again", async () => {
  await using broker = new TestBroker();
  const client = await RawClient.dial(broker);
  broker.refuse("subscribe", "NOPERM no", { name: "news" });
  for (const one of [client, await RawClient.dial(broker)]) {
    assertEquals(await one.ask("SUBSCRIBE ok news"), "-NOPERM no↵");
  }
  broker.allow("subscribe");
  assertEquals(await client.ask("SUBSCRIBE news"), ACK);
});

test("A broker that refuses connections is down for new clients only", async () => {
  await using broker = new TestBroker();
  const client = await RawClient.dial(broker);
  broker.refuseConnections();
  const error = await assertRejects(() => RawClient.dial(broker), ConnectionError, "refuses connections");
  assertEquals(error.endpoint, "any:6379");
  assertEquals(await client.ask("PING"), "+PONG↵");
  broker.acceptConnections();
  assertEquals(await (await RawClient.dial(broker)).ask("PING"), "+PONG↵");
});

test("An aborted dial rejects with the reason of its signal, and nobody has connected", async () => {
  await using broker = new TestBroker();
  const reason = new Error("Changed my mind");
  const error = await assertRejects(() => broker.dial(ANYWHERE, { signal: AbortSignal.abort(reason) }), Error);
  assertStrictEquals(error, reason);
  assertEquals(broker.connectionCount, 0);
});

test("dial may be passed on without its broker", async () => {
  await using broker = new TestBroker();
  const { dial } = broker;
  const transport = await dial(ANYWHERE, { signal: new AbortController().signal });
  assertEquals(await new RawClient(transport).ask("PING"), "+PONG↵");
});

test("The commands are kept with their credentials masked, as a copy", async () => {
  await using broker = new TestBroker({ users: { alice: "wonder" } });
  const client = await RawClient.dial(broker);
  await client.ask("HELLO 3 AUTH alice wonder");
  await client.ask("SUBSCRIBE a b");
  const commands = broker.commands;
  await client.ask("AUTH alice wrong");
  assertEquals(commands, [["HELLO", "3", "AUTH", "***", "***"], ["SUBSCRIBE", "a", "b"]]);
  assertEquals(broker.commands.at(-1), ["AUTH", "***", "***"]);
});

test("A client that lets too much wait for it is cut off", async () => {
  await using broker = new TestBroker({ outputLimitBytes: 10_000 });
  const client = await RawClient.dial(broker);
  await client.ask("SUBSCRIBE news");
  const payload = "x".repeat(20_000);
  assertEquals([broker.publish("news", payload), broker.publish("news", payload)], [1, 0]);
  assertEquals(await client.hear(), undefined);
});

test("A closed broker has let everybody go, connects nobody, and stays closed", async () => {
  const broker = new TestBroker();
  const client = await RawClient.dial(broker);
  await client.ask("SUBSCRIBE news");
  await Promise.all([broker.close(), broker.close(), broker[Symbol.asyncDispose]()]);
  assertEquals(await client.hear(), undefined);
  broker.acceptConnections();
  await assertRejects(() => RawClient.dial(broker), ConnectionError, "the test broker is closed");
  await assertRejects(() => broker.listen(), ConnectionError, "the test broker is closed");
  assertEquals([broker.publish("news", "x"), broker.connectionCount], [0, 0]);
});

test("A frozen broker closes like any other", async () => {
  const broker = new TestBroker();
  const client = await RawClient.dial(broker);
  broker.freeze();
  await client.say("PING");
  await broker.close();
  assertEquals(await client.hear(), undefined);
});

test("Misuse is told at once", () => {
  const broker = new TestBroker();
  for (const bytes of [0, -1, 1.5, NaN]) {
    const error = assertThrows(() => broker.splitWrites(bytes), RangeError, "must be a positive integer or Infinity");
    assertInstanceOf(error, RangeError);
  }
  assertThrows(() => broker.refuse("PING", "no"), TypeError);
  for (const outputLimitBytes of [0, -1, NaN]) {
    assertThrows(() => new TestBroker({ outputLimitBytes }), RangeError, "must be a positive number");
  }
});

test("A push that nobody asked for comes to whoever speaks RESP3", async () => {
  await using broker = new TestBroker();
  const client = await RawClient.dial(broker);
  assertEquals(broker.push("hello"), 0);
  await client.ask("HELLO 3");
  assertEquals(broker.push("MOVING", 1, 30, "10.0.0.2:6379"), 1);
  assertEquals(await client.hear(), ">4↵$6↵MOVING↵:1↵:30↵$13↵10.0.0.2:6379↵");
});
