import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect } from "node:net";
import type { ClientOptions, Credentials, Dial, Kind, Message } from "@earshot/redis";
import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async";
import { FaultyProxy } from "../support/faulty_proxy.ts";
import { commonGround, fresh, type Ground, RESP2, RESP3 } from "../support/ground.ts";
import { SteadyPublisher } from "../support/steady_publisher.ts";
import { until } from "../support/until.ts";

/** Messages a second, and then some names more. */
const RATE = 5_000;
/** Credentials live for so long, and are renewed after 1,000 ms. */
const LIFE_MS = 1_250;

const moving = await commonGround();

/** A user of this test alone, who may do what `rules` say. */
async function user(ground: Ground, ...rules: string[]): Promise<string> {
  const name = fresh("mover");
  await ground.raw.ask("ACL", "SETUSER", name, "on", ">secret-0", "~*", ...rules.length > 0 ? rules : ["&*", "+@all"]);
  return name;
}

/** Credentials that live shortly; the nth that are given have the password of that number, which alone the server knows. */
function rotating(ground: Ground, username: string, wrong: readonly number[] = []) {
  const state = { asked: 0 };
  const credentials = async (): Promise<Credentials> => {
    const number = state.asked++;
    await ground.raw.ask("ACL", "SETUSER", username, "resetpass", `>secret-${number}`);
    const password = wrong.includes(number) ? "wrong" : `secret-${number}`;
    return { username, password, expiresAt: Date.now() + LIFE_MS };
  };
  return { state, credentials };
}

/** Reads everything, and tells what came by each kind of subscription. */
function listen(messages: AsyncIterable<Message>) {
  const came: Record<Kind, number[]> = { channel: [], pattern: [], shard: [] };
  const gaps: string[] = [];
  const reading = (async () => {
    for await (const { kind, payload, gap } of messages) {
      came[kind].push(Number(payload));
      if (gap !== undefined) gaps.push(gap.reasons.join());
    }
  })();
  return { came, gaps, reading };
}

/** Every number from the first to the last, once and in order. */
function assertWhole(numbers: readonly number[], first: number, last: number): void {
  assertEquals(numbers.length, last - first + 1);
  const wrong = numbers.findIndex((number, i) => number !== first + i);
  assertEquals(wrong, -1, `${numbers[wrong]} after ${numbers[wrong - 1]}`);
}

/** Every number at most once, and in order. */
function assertOrder(numbers: readonly number[]): void {
  const wrong = numbers.findIndex((number, i) => i > 0 && number <= numbers[i - 1]!);
  assertEquals(wrong, -1, `${numbers[wrong]} after ${numbers[wrong - 1]}`);
}

/** How long what the server says takes on the long way, in milliseconds: so far apart the two ends of a move may be. */
const LONG_WAY_MS = 20;

/** A long way to the server. */
async function longWay(ground: Ground): Promise<FaultyProxy> {
  const proxy = await FaultyProxy.open(ground.server.port);
  proxy.shape("down", { delayMs: LONG_WAY_MS });
  return proxy;
}

/** Goes from port to port, one dial after the other. The first connection hears, behind its acknowledgement, of a move. */
function dialling(ports: readonly number[], announcement?: string): { dial: Dial; dialled: number } {
  const state = { dialled: 0 };
  const dial: Dial = async () => {
    const port = ports[state.dialled++ % ports.length]!;
    let due = state.dialled === 1 && announcement !== undefined;
    const socket = connect(port, "127.0.0.1");
    socket.setNoDelay(true);
    await once(socket, "connect");
    const chunks: AsyncIterator<Buffer> = socket[Symbol.asyncIterator]();
    return {
      read: async () => {
        const { value, done } = await chunks.next();
        if (done) return undefined;
        // Nothing is published yet, so it ends with a whole push.
        if (!due || !value.includes("subscribe")) return value;
        due = false;
        return Buffer.concat([value, Buffer.from(announcement!)]);
      },
      write: (bytes) =>
        new Promise((resolve, reject) => socket.write(bytes, (error) => error ? reject(error) : resolve())),
      close: () => void socket.destroy(),
    };
  };
  return Object.assign(state, { dial });
}

async function idOf(ground: Ground): Promise<string | undefined> {
  return (await ground.raw.clients(ground.clientName))[0]?.get("id");
}

moving(
  "Credentials expire four times at 5,000 messages a second: every number comes once and in order",
  async (ground) => {
    const { state, credentials } = rotating(ground, await user(ground));
    const [channel, stem, shard] = [fresh("channel"), fresh("pattern."), fresh("shard")];
    await using far = await longWay(ground);
    const { port } = ground.server;
    const pubsub = ground.client({ credentials, dial: dialling([port, far.port, port]).dial }).pubsub();
    const { came, gaps, reading } = listen(pubsub);
    await pubsub.subscribe(channel);
    await pubsub.psubscribe(`${stem}*`);
    await pubsub.ssubscribe(shard);
    const first = await idOf(ground);
    await using publisher = await SteadyPublisher.start(ground.server.port, RATE, [
      ["PUBLISH", channel],
      ["PUBLISH", `${stem}x`],
      ["SPUBLISH", shard],
    ]);
    await until("four renewals", 20_000, () => state.asked > 4);
    await delay(500);
    await publisher.stop();
    await pubsub.synced();
    const last = publisher.count - 1;
    await until(
      "the last number",
      5_000,
      () => [came.channel, came.pattern, came.shard].every((of) => of.at(-1) === last),
    );
    for (const numbers of [came.channel, came.pattern, came.shard]) assertWhole(numbers, 0, last);
    assert(last > 4 * RATE, `${last} numbers`);
    assertEquals([gaps, ground.count("gap"), ground.count("disconnected"), ground.count("error")], [[], 0, 0, 0]);
    // In RESP2 the connection is another one, in RESP3 the same.
    assertEquals(await idOf(ground) === first, ground.dialect === RESP3);
    assertEquals(pubsub.stats().received, 3 * publisher.count);
    assertEquals(await ground.raw.traces(ground.clientName, { channels: [channel], shardChannels: [shard] }), {
      channels: [1],
      shardChannels: [1],
      patterns: 1,
      connections: 1,
    });
    assertEquals(await ground.raw.ask("PUBSUB", "CHANNELS", "earshot:*"), []);
    await pubsub.close();
    await reading;
    assertEquals(ground.unhandled, []);
  },
  [RESP2, RESP3],
);

moving("Names come and go while credentials expire: what was acknowledged is heard whole", async (ground) => {
  const { state, credentials } = rotating(ground, await user(ground));
  const [steady, guest] = [fresh("steady"), fresh("guest")];
  const pubsub = ground.client({ credentials }).pubsub();
  const came: Record<string, number[]> = { [steady]: [], [guest]: [] };
  const reading = (async () => {
    for await (const { channel, payload, gap } of pubsub) {
      assertEquals(gap, undefined);
      came[channel]!.push(Number(payload));
    }
  })();
  await pubsub.subscribe(steady);
  await using publisher = await SteadyPublisher.start(ground.server.port, RATE, [["PUBLISH", steady], [
    "PUBLISH",
    guest,
  ]]);
  let visits = 0;
  while (state.asked <= 3) {
    await pubsub.subscribe(guest);
    const from = publisher.count;
    await delay(15);
    const until_ = came[guest]!.at(-1) ?? 0;
    await pubsub.unsubscribe(guest);
    const numbers = came[guest]!.splice(0);
    assertOrder(numbers);
    const heard = numbers.filter((number) => number >= from && number <= until_);
    if (heard.length > 0) assertWhole(heard, from, until_);
    visits++;
  }
  await publisher.stop();
  await pubsub.synced();
  await until("the last number", 5_000, () => came[steady]!.at(-1) === publisher.count - 1);
  assertWhole(came[steady]!, 0, publisher.count - 1);
  assert(visits > 50, `${visits} visits`);
  assertEquals([ground.count("gap"), ground.count("disconnected"), ground.count("error")], [0, 0, 0]);
  await pubsub.close();
  await reading;
  assertEquals(ground.unhandled, []);
}, [RESP2, RESP3]);

moving("New credentials that are wrong are told, and nothing is lost until the right ones come", async (ground) => {
  const { state, credentials } = rotating(ground, await user(ground), [1, 2]);
  const channel = fresh("channel");
  const pubsub = ground.client({ credentials }).pubsub();
  const { came, gaps, reading } = listen(pubsub);
  await pubsub.subscribe(channel);
  await using publisher = await SteadyPublisher.start(ground.server.port, RATE, [["PUBLISH", channel]]);
  await until("the right ones", 20_000, () => state.asked > 4);
  await publisher.stop();
  await pubsub.synced();
  await until("the last number", 5_000, () => came.channel.at(-1) === publisher.count - 1);
  assertWhole(came.channel, 0, publisher.count - 1);
  const errors = ground.events.flatMap((event) => event.type === "error" ? [event.error.message] : []);
  assertEquals([gaps, errors.length, ground.count("disconnected")], [[], 2, 0]);
  for (const error of errors) assert(error.includes("WRONGPASS") && !error.includes("wrong "), error);
  await pubsub.close();
  await reading;
  assertEquals(ground.unhandled, []);
}, [RESP2, RESP3]);

moving("A user who may not use the fence is told of the gap, and hears nothing twice", async (ground) => {
  const channel = fresh("channel");
  const name = await user(ground, "resetchannels", `&${channel}`, "+@all");
  const { state, credentials } = rotating(ground, name);
  const pubsub = ground.client({ credentials }).pubsub();
  const { came, gaps, reading } = listen(pubsub);
  await pubsub.subscribe(channel);
  await using publisher = await SteadyPublisher.start(ground.server.port, RATE, [["PUBLISH", channel]]);
  await until("three renewals", 20_000, () => state.asked > 3 && ground.count("gap") >= 3);
  await publisher.stop();
  // By hand until one is heard: any single one may fall into a gap.
  let last = publisher.count;
  await until("a last number", 10_000, async () => {
    await ground.raw.ask("PUBLISH", channel, String(last++));
    return came.channel.at(-1)! >= publisher.count;
  });
  assertOrder(came.channel);
  assertEquals(new Set(gaps), new Set(["migration"]));
  const jumps = came.channel.filter((number, i) => number !== i && number !== came.channel[i - 1]! + 1).length;
  assert(jumps <= gaps.length, `${jumps} jumps and ${gaps.length} gaps`);
  assertEquals([ground.count("disconnected"), ground.count("error")], [0, 0]);
  await pubsub.close();
  await reading;
  assertEquals(ground.unhandled, []);
}, [RESP2]);

moving(
  "The old connection is killed in the middle of a move: what may be missing is told, and nothing comes twice",
  async (ground) => {
    const { state, credentials } = rotating(ground, await user(ground));
    const channel = fresh("channel");
    const pubsub = ground.client({ credentials, reconnect: { initialDelayMs: 5 } }).pubsub();
    const { came, gaps, reading } = listen(pubsub);
    await pubsub.subscribe(channel);
    await using publisher = await SteadyPublisher.start(ground.server.port, RATE, [["PUBLISH", channel]]);
    for (let round = 1; round <= 4; round++) {
      const old = await idOf(ground);
      const asked = state.asked;
      await until("a renewal", 10_000, () => state.asked > asked);
      await delay(round - 1);
      await ground.raw.ask("CLIENT", "KILL", "ID", old!);
      await delay(300);
      await pubsub.synced();
    }
    await publisher.stop();
    await pubsub.synced();
    await until("the last number", 5_000, () => came.channel.at(-1) === publisher.count - 1);
    assertOrder(came.channel);
    const jumps = came.channel.filter((number, i) => number !== i && number !== came.channel[i - 1]! + 1).length;
    assert(jumps <= gaps.length, `${jumps} jumps and ${gaps.length} gaps`);
    assertEquals((await ground.raw.traces(ground.clientName, { channels: [channel] })).channels, [1]);
    await pubsub.close();
    await reading;
    assertEquals(ground.unhandled, []);
  },
  [RESP2],
);

moving("Closing in the middle of a move leaves nothing on the server", async (ground) => {
  const name = await user(ground);
  for (let round = 0; round < 8; round++) {
    const { state, credentials } = rotating(ground, name);
    const options: ClientOptions = { credentials, keepAlive: false };
    const pubsub = ground.client(options).pubsub();
    await pubsub.subscribe(fresh("channel"));
    await until("a renewal", 10_000, () => state.asked > 1);
    await delay(round);
    await pubsub.close();
    const { connections } = await ground.raw.traces(ground.clientName);
    assertEquals(connections, 0);
  }
  assertEquals([ground.unhandled, ground.count("error")], [[], 0]);
}, [RESP2]);

moving("Subscribers in RESP3 move at 5,000 messages a second: every number comes once and in order", async (ground) => {
  const channel = fresh("channel");
  await using far = await longWay(ground);
  const ways = [ground.server.port, far.port];
  const subscribers = await Promise.all(Array.from({ length: 4 }, async (_, i) => {
    // After half of the time to the same endpoint, from the short way to the long one or back.
    const announced = dialling(
      i % 2 === 0 ? ways : ways.toReversed(),
      `>4\r\n$6\r\nMOVING\r\n:1\r\n:${i + 1}\r\n_\r\n`,
    );
    const pubsub = await ground.client({ dial: announced.dial }).subscribe(channel);
    return { announced, pubsub, ...listen(pubsub) };
  }));
  await using publisher = await SteadyPublisher.start(ground.server.port, RATE, [["PUBLISH", channel]]);
  await until("four moves", 10_000, () => subscribers.every(({ announced }) => announced.dialled === 2));
  await delay(500);
  await publisher.stop();
  for (const { pubsub, came, gaps, reading } of subscribers) {
    await pubsub.synced();
    await until("the last number", 5_000, () => came.channel.at(-1) === publisher.count - 1);
    assertWhole(came.channel, 0, publisher.count - 1);
    assertEquals(gaps, []);
    await pubsub.close();
    await reading;
  }
  assertEquals([ground.count("gap"), ground.count("disconnected"), ground.count("error")], [0, 0, 0]);
  assertEquals(ground.unhandled, []);
}, [RESP3]);

moving("Commands are answered in order while their credentials expire", async (ground) => {
  const name = await user(ground);
  const { state, credentials } = rotating(ground, name);
  const redis = ground.client({ credentials });
  const key = fresh("key");
  let count = 0;
  while (state.asked < 4) assertEquals(Number((await redis.command(["INCR", key])).value), ++count);
  assertEquals([ground.count("error"), (await ground.raw.traces(ground.clientName)).connections], [0, 1]);
}, [RESP2, RESP3]);
