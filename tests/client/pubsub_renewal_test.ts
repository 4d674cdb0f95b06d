import { assertEquals, assertRejects } from "@std/assert";
import { ConnectionError } from "../../src/errors.ts";
import { test } from "../support/test.ts";
import { LIFE_MS, MovingStage } from "./moving_stage.ts";

test("in RESP3 new credentials are used on the connection that stands", async () => {
  const stage = new MovingStage({ protocol: 3 });
  await stage.pubsub.subscribe("n");
  stage.broker.publish("n", "0");
  await stage.clock.advance(79_999);
  assertEquals(stage.asked, 1);
  await stage.clock.advance(1);
  stage.broker.publish("n", "1");
  await stage.clock.advance(80_000);
  stage.broker.publish("n", "2");
  await stage.rest();
  assertEquals([stage.asked, stage.wires.length, stage.numbers()], [3, 1, [0, 1, 2]]);
  assertEquals(stage.broker.commands.map(([verb]) => verb), ["HELLO", "SUBSCRIBE", "AUTH", "AUTH"]);
  assertEquals(await stage.end(), { timers: 0, open: 0 });
});

test("in RESP3 a connection that took over, as AUTH was refused, is renewed in place", async () => {
  const stage = new MovingStage({ protocol: 3 });
  await stage.pubsub.subscribe("n");
  stage.broker.refuse("AUTH", "NOPERM no");
  await stage.renew();
  await stage.rest();
  assertEquals(stage.wires.length, 2);
  stage.broker.allow("AUTH");
  await stage.renew();
  await stage.renew();
  await stage.rest();
  assertEquals([stage.wires.length, stage.count("error"), stage.count("gap")], [2, 0, 0]);
  assertEquals(await stage.end(), { timers: 0, open: 0 });
});

test("in RESP2 a new connection takes over, time and again, and nobody sees a difference", async () => {
  const stage = new MovingStage({ protocol: 2 });
  await stage.pubsub.subscribe("n");
  for (let i = 0; i < 5; i++) {
    stage.broker.publish("n", String(i));
    await stage.renew();
  }
  await stage.rest();
  assertEquals([stage.numbers(), stage.messages], [[0, 1, 2, 3, 4], []]);
  assertEquals([stage.asked, stage.broker.connectionCount, stage.broker.subscriberCount("n")], [6, 1, 1]);
  assertEquals(stage.pubsub.subscriptions().map(({ name }) => name), ["n"]);
  const { received, delivered, reconnects } = stage.pubsub.stats();
  assertEquals([received, delivered, reconnects], [5, 5, 0]);
  const told = stage.events.map(({ type }) => type);
  assertEquals(told.slice(0, 4), ["connecting", "connected", "subscribed", "ready"]);
  assertEquals(told.slice(4), Array.from({ length: 5 }, () => ["connected", "ready"]).flat());
  assertEquals(await stage.end(), { timers: 0, open: 0 });
});

test("where the fence is refused, what may be missing is told as a gap of its own kind, in place and as an event", async () => {
  for (const protocol of [2, 3] as const) {
    const stage = new MovingStage({ protocol });
    if (protocol === 3) stage.broker.refuse("AUTH", "NOPERM no");
    stage.broker.refuse("PUBLISH", "NOPERM no");
    await stage.pubsub.subscribe("n");
    await stage.pubsub.subscribe("idle");
    stage.broker.publish("n", "0");
    await stage.clock.advance(1_000);
    await stage.clock.advance(79_000);
    await stage.rest();
    stage.broker.publish("n", "1");
    stage.broker.publish("n", "2");
    await stage.rest();
    assertEquals(stage.messages.map(({ payload, gap }) => [payload, gap?.reasons, gap?.dropped]), [
      ["0", undefined, undefined],
      ["1", ["migration"], 0],
      ["2", undefined, undefined],
    ]);
    const told = stage.events.slice(stage.events.findIndex(({ type }) => type === "ready") + 1);
    assertEquals(told.map((event) => event.type === "gap" ? event.gap.reasons[0] : event.type), [
      "subscribed",
      "connected",
      "ready",
      "migration",
    ]);
    assertEquals(stage.pubsub.stats().reconnects, 0);
    stage.wires.at(protocol === 2 ? 1 : -1)!.break();
    for (let i = 0; i < 3; i++) await stage.clock.advance(100);
    const { gap } = stage.events.findLast((event) => event.type === "gap")!;
    assertEquals(gap.reasons, ["reconnect"]);
    assertEquals(await stage.end(), { timers: 0, open: 0 });
  }
});

test("credentials that open no door are told, the connection that stands goes on, and it is tried again", async () => {
  for (const protocol of [2, 3] as const) {
    const stage = new MovingStage({
      protocol,
      credentials: (asked, usual) =>
        Promise.resolve(asked === 2 || asked === 3 ? { ...usual, password: "wrong" } : usual),
    });
    await stage.pubsub.subscribe("n");
    await stage.renew();
    const errors = () => stage.events.flatMap((event) => event.type === "error" ? [event.error.message] : []);
    const verb = protocol === 2 ? "AUTH" : "HELLO";
    assertEquals(errors(), [
      `Cannot move to localhost:6379: ${verb} was refused: WRONGPASS invalid username-password pair or user is disabled.`,
    ]);
    stage.broker.publish("n", "0");
    await stage.clock.advance(1_000);
    stage.broker.publish("n", "1");
    assertEquals(errors().length, 2);
    await stage.clock.advance(2_000);
    stage.broker.publish("n", "2");
    await stage.rest();
    assertEquals([errors().length, stage.asked, stage.numbers()], [2, 4, [0, 1, 2]]);
    assertEquals([stage.count("disconnected"), stage.count("gap"), stage.open], [0, 0, 1]);
    assertEquals(await stage.end(), { timers: 0, open: 0 });
  }
});

test("when nobody can be reached, the connection that stands goes on until it ends", async () => {
  const stage = new MovingStage({ protocol: 2 });
  await stage.pubsub.subscribe("n");
  stage.unreachable = "yes";
  await stage.renew();
  stage.broker.publish("n", "0");
  await stage.clock.advance(5_000);
  assertEquals([stage.count("error"), stage.numbers(), stage.count("disconnected")], [3, [0], 0]);
  stage.wires[0]!.break();
  await stage.clock.advance(100);
  stage.unreachable = "no";
  await stage.clock.advance(5_000);
  stage.broker.publish("n", "1");
  await stage.rest();
  assertEquals(stage.messages.map(({ payload, gap }) => [payload, gap?.reasons]), [["1", ["reconnect"]]]);
  assertEquals(await stage.end(), { timers: 0, open: 0 });
});

test("a name that the new credentials may not hear is denied, and its stream alone is told", async () => {
  const stage = new MovingStage({ protocol: 2 });
  const { pubsub, broker } = stage;
  await pubsub.subscribe("n");
  const secret = pubsub.stream({ channels: "secret" });
  await pubsub.synced();
  broker.refuse("SUBSCRIBE", "NOPERM no", { name: "secret" });
  await stage.renew();
  await stage.rest();
  assertEquals(pubsub.subscriptions().map(({ name, state }) => `${name} ${state}`), ["n subscribed", "secret denied"]);
  assertEquals(stage.events.flatMap((event) => event.type === "denied" ? [event.name] : []), ["secret"]);
  broker.publish("n", "0");
  broker.allow("SUBSCRIBE");
  await stage.renew();
  await stage.rest();
  broker.publish("secret", "again");
  broker.publish("n", "1");
  await stage.rest();
  const reader = secret.getReader();
  const { value } = await reader.read();
  assertEquals([value?.payload, value?.gap?.reasons], ["again", ["migration", "denied"]]);
  assertEquals(stage.messages.map(({ payload, gap }) => [payload, gap]), [["0", undefined], ["1", undefined]]);
  assertEquals(stage.events.flatMap((event) => event.type === "subscribed" ? [event.name] : []), [
    "n",
    "secret",
    "secret",
  ]);
  await reader.cancel();
  assertEquals(await stage.end(), { timers: 0, open: 0 });
});

test("credentials that are expired when they are given are an error in clear words, with no hot loop", async () => {
  let expiresAt: number | Date = 0;
  const stage = new MovingStage({ protocol: 2, credentials: (_, usual) => Promise.resolve({ ...usual, expiresAt }) });
  const error = await assertRejects(() => stage.pubsub.subscribe("n"), ConnectionError);
  assertEquals((error.cause as Error).message, "expiresAt must be in the future, in milliseconds since the epoch: 0");
  expiresAt = new Date(stage.clock.date() + LIFE_MS);
  await stage.pubsub.subscribe("n");
  assertEquals(stage.asked, 2);
  await stage.clock.advance(LIFE_MS + 10_000);
  // Well until 20 s, 4 s and 0.8 s are left; then after 1, 1, 2 and 4 s.
  assertEquals([stage.asked, stage.count("error"), stage.open], [2 + 3 + 4, 4, 1]);
  assertEquals(await stage.end(), { timers: 0, open: 0 });
});

test("closing in the middle of a move ends it, and leaves nothing", async () => {
  for (const protocol of [2, 3] as const) {
    for (let turns = 0; turns < 40; turns++) {
      const stage = new MovingStage({ protocol, dawdle: () => 1 });
      if (protocol === 3) stage.broker.refuse("AUTH", "NOPERM no");
      await stage.pubsub.subscribe("n");
      await stage.clock.advance(79_999);
      const time = stage.clock.advance(1);
      await stage.rest(turns);
      const end = stage.end();
      await time;
      assertEquals([await end, stage.broker.connectionCount], [{ timers: 0, open: 0 }, 0]);
      assertEquals(stage.count("error"), 0);
    }
  }
});

test("whenever one of its connections breaks, a move loses nothing untold, and ends with every name", async () => {
  for (const protocol of [2, 3] as const) {
    for (const broken of [0, 1, 2]) {
      for (let turns = 0; turns < 30; turns += 1) {
        const stage = new MovingStage({ protocol, dawdle: () => 1 });
        if (protocol === 3) stage.broker.refuse("AUTH", "NOPERM no");
        await stage.pubsub.subscribe("n");
        await stage.clock.advance(79_999);
        const time = stage.clock.advance(1);
        let number = 0;
        for (let turn = 0; turn < 60; turn++) {
          if (turn === turns) stage.wires[broken]?.break();
          stage.broker.publish("n", String(number++));
          await stage.rest(1);
        }
        await time;
        for (let i = 0; i < 10; i++) {
          await stage.clock.advance(100);
          await stage.rest(10);
        }
        stage.broker.publish("n", String(number));
        await stage.rest(10);
        let last = -1;
        for (const { payload, gap } of stage.messages) {
          const here = `RESP${protocol}, connection ${broken}, turn ${turns}: ${payload} after ${last}`;
          assertEquals(Number(payload) === last + 1 || (Number(payload) > last && gap !== undefined), true, here);
          last = Number(payload);
        }
        assertEquals(last, number);
        assertEquals(stage.pubsub.subscriptions().map(({ state }) => state), ["subscribed"]);
        assertEquals(await stage.end(), { timers: 0, open: 0 });
      }
    }
  }
});

test("what is private to the library is not to be subscribed to", async () => {
  const stage = new MovingStage({ protocol: 3 });
  await assertRejects(() => stage.pubsub.subscribe("earshot:private:x"), TypeError, "must not be private");
  assertEquals(await stage.end(), { timers: 0, open: 0 });
});
