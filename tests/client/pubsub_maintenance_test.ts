import { assertEquals } from "@std/assert";
import { TestBroker } from "@earshot/redis/testing";
import { test } from "../support/test.ts";
import { MovingStage, PASSWORD } from "./moving_stage.ts";

/** Credentials that never expire. */
const lasting = () => Promise.resolve({ password: PASSWORD });

test("pushes that nobody knows are ignored, and counted", async () => {
  const stage = new MovingStage({ protocol: 3, credentials: lasting });
  const { pubsub, broker } = stage;
  await pubsub.subscribe("n");
  broker.publish("n", "0");
  for (const label of ["MIGRATING", "MIGRATED", "invalidate", "MOVING"]) assertEquals(broker.push(label, 1, null), 1);
  broker.publish("n", "1");
  await stage.rest();
  assertEquals([stage.numbers(), pubsub.stats().unknownPushes, stage.count("error")], [[0, 1], 4, 0]);
  assertEquals(await stage.end(), { timers: 0, open: 0 });
});

test("a server that moves is followed to the endpoint that it names, and every message comes once", async () => {
  const stage = new MovingStage({ protocol: 3, credentials: lasting });
  const { pubsub, broker } = stage;
  await pubsub.subscribe("n");
  for (let move = 1; move <= 3; move++) {
    broker.publish("n", String(2 * move - 2));
    broker.push("MOVING", move, 30, `10.0.0.${move}:7000`);
    await stage.rest();
    broker.publish("n", String(2 * move - 1));
  }
  await stage.rest();
  assertEquals(stage.wires.map(({ endpoint, state }) => `${endpoint.host}:${endpoint.port} ${state}`), [
    "localhost:6379 closed",
    "10.0.0.1:7000 closed",
    "10.0.0.2:7000 closed",
    "10.0.0.3:7000 open",
  ]);
  assertEquals([stage.numbers(), pubsub.stats().unknownPushes, broker.connectionCount], [[0, 1, 2, 3, 4, 5], 0, 1]);
  assertEquals([stage.count("gap"), stage.count("disconnected"), stage.count("error")], [0, 0, 0]);
  assertEquals(stage.events.at(-1)?.endpoint, "10.0.0.3:7000");
  // Whoever breaks goes where it always went: by then the name leads to the right place.
  stage.wires.at(-1)!.break();
  await stage.clock.advance(1_000);
  assertEquals(stage.wires.at(-1)!.endpoint.host, "localhost");
  assertEquals(await stage.end(), { timers: 0, open: 0 });
});

test("a server that moves and names no endpoint is connected to once more, after half of the time", async () => {
  const stage = new MovingStage({ protocol: 3, credentials: lasting });
  const { pubsub, broker } = stage;
  await pubsub.subscribe("n");
  broker.push("MOVING", 1, 30, null);
  await stage.clock.advance(14_999);
  assertEquals(stage.wires.length, 1);
  broker.publish("n", "0");
  await stage.clock.advance(1);
  broker.publish("n", "1");
  await stage.rest();
  assertEquals(stage.wires.map(({ endpoint, state }) => `${endpoint.host} ${state}`), [
    "localhost closed",
    "localhost open",
  ]);
  assertEquals([stage.numbers(), stage.count("gap"), stage.count("disconnected")], [[0, 1], 0, 0]);
  assertEquals(await stage.end(), { timers: 0, open: 0 });
});

test("between two servers that do not share their messages, what may be missing is told", async () => {
  const next = new TestBroker({ protocol: 3, password: PASSWORD });
  const stage: MovingStage = new MovingStage({
    protocol: 3,
    credentials: lasting,
    serves: ({ host }) => host === "10.0.0.2" ? next : stage.broker,
  });
  const { pubsub, broker } = stage;
  await pubsub.subscribe("n");
  broker.publish("n", "0");
  broker.push("MOVING", 1, 30, "10.0.0.2:6379");
  await stage.rest();
  broker.publish("n", "1");
  next.publish("n", "1");
  await stage.clock.advance(1_000);
  await stage.rest();
  broker.publish("n", "2");
  next.publish("n", "2");
  await stage.rest();
  assertEquals(stage.messages.map(({ payload, gap }) => [payload, gap?.reasons]), [
    ["0", undefined],
    ["1", undefined],
    ["2", ["migration"]],
  ]);
  assertEquals([broker.connectionCount, next.subscriberCount("n")], [0, 1]);
  assertEquals([stage.count("gap"), stage.count("disconnected"), stage.count("error")], [1, 0, 0]);
  assertEquals(await stage.end(), { timers: 0, open: 0 });
  await next.close();
});

test("a new place that cannot be reached is tried again, while the old one serves", async () => {
  const next = new TestBroker({ protocol: 3, password: PASSWORD });
  const stage: MovingStage = new MovingStage({
    protocol: 3,
    credentials: lasting,
    serves: ({ host }) => host === "10.0.0.2" ? next : stage.broker,
  });
  const { pubsub, broker } = stage;
  await pubsub.subscribe("n");
  next.refuseConnections();
  broker.push("MOVING", 1, 30, "10.0.0.2:6379");
  await stage.clock.advance(999);
  broker.publish("n", "0");
  await stage.rest();
  const errors = stage.events.flatMap((event) => event.type === "error" ? [event.error.message] : []);
  assertEquals([errors.length, errors[0]?.startsWith("Cannot move to 10.0.0.2:6379: ")], [1, true]);
  next.acceptConnections();
  await stage.clock.advance(3_000);
  next.publish("n", "1");
  await stage.rest();
  assertEquals([stage.numbers(), next.subscriberCount("n"), broker.connectionCount], [[0, 1], 1, 0]);
  assertEquals(await stage.end(), { timers: 0, open: 0 });
  await next.close();
});

test("it asks to be told of maintenance where it shall, on every connection; who refuses it is served as ever", async () => {
  const stage = new MovingStage({ protocol: 3, credentials: lasting, client: { maintenance: true } });
  const { pubsub, broker } = stage;
  await pubsub.subscribe("n");
  broker.push("MOVING", 1, 30, "10.0.0.1:7000");
  await stage.rest();
  const asked = broker.commands.filter(([verb]) => verb === "CLIENT");
  assertEquals(asked, [
    ["CLIENT", "MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", "none"],
    ["CLIENT", "MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", "internal-ip"],
  ]);
  broker.publish("n", "0");
  await stage.rest();
  assertEquals([stage.numbers(), stage.count("error"), stage.count("gap")], [[0], 0, 0]);
  assertEquals(await stage.end(), { timers: 0, open: 0 });
});
