import type { ClientOptions, Gap, Kind, Message } from "@earshot/redis";
import { assert, assertEquals } from "@std/assert";
import { deadline, delay } from "@std/async";
import { setImmediate } from "node:timers";
import { FaultyProxy } from "../support/faulty_proxy.ts";
import {
  commonGround,
  type Dialect,
  fresh,
  Ground,
  inTime,
  NO_HELLO,
  NOT_OURS,
  RESP2,
  RESP3,
} from "../support/ground.ts";
import { NumberedPublisher } from "../support/numbered_publisher.ts";
import { RawConnection } from "../support/raw_connection.ts";
import { type RedisServer, startServer } from "../support/redis_server.ts";
import { testUnless } from "../support/skip.ts";
import { until } from "../support/until.ts";

const each = await commonGround();

/** Who a client has to be. */
interface Login {
  readonly name: string;
  readonly args: readonly string[];
  readonly options: ClientOptions;
  /** For the raw connections. */
  readonly raw: readonly string[];
}

const USER = ["--user", "listener", "on", ">open-sesame", "~*", "&*", "+@all"];
const LOGINS: readonly Login[] = [
  { name: "no password", args: [], options: {}, raw: [] },
  {
    name: "requirepass",
    args: ["--requirepass", "open-sesame"],
    options: { password: "open-sesame" },
    raw: ["open-sesame"],
  },
  {
    name: "an ACL user",
    args: ["--user", "default", "off", ...USER],
    options: { username: "listener", password: "open-sesame" },
    raw: ["listener", "open-sesame"],
  },
];

/** What befalls the connection. */
interface Disturbance {
  readonly name: string;
  readonly happens: (ground: Ground, connectionId: string) => Promise<unknown>;
  /** For how long nobody can be reached, in milliseconds. */
  readonly downMs: number;
}

const DISTURBANCES: readonly Disturbance[] = [
  { name: "CLIENT KILL TYPE pubsub", happens: ({ raw }) => raw.ask("CLIENT", "KILL", "TYPE", "pubsub"), downMs: 0 },
  { name: "CLIENT KILL ID", happens: ({ raw }, id) => raw.ask("CLIENT", "KILL", "ID", id), downMs: 0 },
  { name: "a restart on the same port", happens: ({ server }) => server.restart(), downMs: 0 },
  {
    name: "a crash and three seconds without a server",
    async happens({ server }) {
      await server.kill("SIGKILL");
      await delay(3_000);
      await server.restart();
    },
    downMs: 3_000,
  },
];

const RECONNECT = { initialDelayMs: 10, maxDelayMs: 100 };
/** What timers, processes and handshakes may add, in milliseconds, on a busy machine. */
const SLACK_MS = 1_500;

for (const disturbance of DISTURBANCES) {
  testUnless(NOT_OURS, `${disturbance.name} is survived and told, with any login, in both protocols`, async () => {
    const grounds = LOGINS.flatMap((login) => [RESP3, RESP2, NO_HELLO].map((dialect) => ({ login, dialect })));
    // Side by side, since most of the time is waiting.
    await Promise.all(grounds.map(async ({ login, dialect }) => {
      await using server = await startServer({ args: [...dialect.args, ...login.args] });
      const options = { ...dialect.options, ...login.options };
      await inTime(survives(server, { ...dialect, options }, login, disturbance)).catch((cause) => {
        throw new Error(`${dialect.name}, ${login.name}: ${cause.message}`, { cause });
      });
    }));
  });
}

each("Several kills within half a second lose none of 1,000 channels", async (ground) => {
  const channels = Array.from({ length: 1_000 }, () => fresh("many"));
  const pubsub = await ground.client({ reconnect: RECONNECT }).subscribe(channels);

  for (let kills = 0; kills < 5; kills++) {
    await ground.raw.ask("CLIENT", "KILL", "TYPE", "pubsub");
    await delay(100);
  }
  await pubsub.synced({ timeoutMs: 5_000 });

  const { channels: counts } = await ground.raw.traces(ground.clientName, { channels });
  assertEquals(counts, channels.map(() => 1));
  await ground.raw.askAll(channels.map((channel) => ["PUBLISH", channel, channel]));
  const heard: string[] = [];
  for await (const { channel, payload } of pubsub) {
    assertEquals(payload, channel);
    if (heard.push(channel) === channels.length) break;
  }
  assertEquals(heard, channels);
  assert(pubsub.stats().reconnects >= 1);
  assertEquals(ground.unhandled, []);
});

each("A connection that is cut at whatever step of reconnecting is replaced", async (ground) => {
  await using proxy = await FaultyProxy.open(ground.server.port);
  const channels = [fresh("a"), fresh("b")];
  const options = { port: proxy.port, reconnect: { initialDelayMs: 1, maxDelayMs: 5 } };
  const pubsub = await ground.client(options).subscribe(channels);
  const stages = { "before it was ready": 0, "after it was ready": 0 };
  for (let turns = 0; stages["after it was ready"] < 3; turns += 1 + (turns >> 3)) {
    assert(turns < 20_000, "It is never ready");
    const [connection, readied] = [proxy.next(), ground.count("ready")];
    proxy.cut();
    await connection;
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
    stages[ground.count("ready") === readied ? "before it was ready" : "after it was ready"]++;
    const replacement = proxy.next();
    proxy.cut();
    await deadline(replacement, 5_000);
    await pubsub.synced({ timeoutMs: 5_000 });
    await until("the server has let go of what was cut", 5_000, async () => {
      const { channels: counts, connections } = await ground.raw.traces(ground.clientName, { channels });
      return counts.every((count) => count === 1) && connections === 1;
    });
  }
  assert(stages["before it was ready"] > 3, JSON.stringify(stages));
  assertEquals(ground.unhandled, []);
}, [RESP3, RESP2]);

each("What is asked for while there is no connection holds on the next one", async (ground) => {
  await using proxy = await FaultyProxy.open(ground.server.port);
  const [kept, dropped, added] = [fresh("kept"), fresh("dropped"), fresh("added")];
  const pubsub = await ground.client({ port: proxy.port, reconnect: RECONNECT }).subscribe([kept, dropped]);
  proxy.freeze("future");
  proxy.cut();
  await until("a frozen connection", 5_000, () => proxy.accepted === 2);

  const subscribed = pubsub.subscribe(added);
  await pubsub.unsubscribe(dropped);
  assertEquals(pubsub.subscriptions().map(({ name, state }) => [name, state]), [[kept, "pending"], [added, "pending"]]);
  proxy.thaw();
  proxy.cut();
  await subscribed;

  const { channels } = await ground.raw.traces(ground.clientName, { channels: [kept, dropped, added] });
  assertEquals(channels, [1, 0, 1]);
  await ground.raw.ask("PUBLISH", added, "new here");
  await ground.raw.ask("PUBLISH", kept, "missed something");
  const gaps: unknown[] = [];
  for await (const { gap } of pubsub) if (gaps.push(gap?.reasons) === 2) break;
  assertEquals(gaps, [["reconnect"], undefined]);
  assertEquals(ground.unhandled, []);
});

async function survives(
  server: RedisServer,
  dialect: Dialect,
  login: Login,
  disturbance: Disturbance,
): Promise<void> {
  await using ground = await Ground.at(server, dialect, login.raw);
  const [channel, shard, pattern] = [fresh("channel"), fresh("shard"), fresh("pattern-")];
  const pubsub = ground.client({ reconnect: RECONNECT }).pubsub();
  await Promise.all([pubsub.subscribe(channel), pubsub.psubscribe(`${pattern}*`), pubsub.ssubscribe(shard)]);
  const told: Message[] = [];
  const reading = (async () => {
    for await (const message of pubsub) told.push(message);
  })();
  const [before] = await ground.raw.clients(ground.clientName);

  await using publisher = new NumberedPublisher(server.port, login.raw, [
    ["PUBLISH", channel],
    ["PUBLISH", `${pattern}x`],
    ["SPUBLISH", shard],
  ]);
  await until("messages", 5_000, () => told.length >= 30);
  const began = Date.now();
  await disturbance.happens(ground, before!.get("id")!);
  await until("a recovery", 10_000, () => ground.count("gap") > 0);
  const recovered = Date.now();
  const many = told.length + 60;
  await until("messages again", 5_000, () => told.length >= many);
  await publisher[Symbol.asyncDispose]();

  await using raw = await RawConnection.open(server.port, login.raw);
  assertEquals(await raw.traces(ground.clientName, { channels: [channel], shardChannels: [shard] }), {
    channels: [1],
    shardChannels: [1],
    patterns: 1,
    connections: 1,
  });
  assertEquals(pubsub.subscriptions().map(({ state }) => state), ["subscribed", "subscribed", "subscribed"]);
  assertEquals(pubsub.stats().reconnects, 1);

  const gaps = ground.events.flatMap((event) => event.type === "gap" ? [event.gap] : []);
  const inPlace = told.flatMap(({ gap }) => gap === undefined ? [] : [gap]);
  assertEquals([gaps.length, inPlace.length], [1, 1]);
  for (const gap of [...gaps, ...inPlace]) assertBelievable(gap, { began, recovered, least: disturbance.downMs });
  for (const kind of ["channel", "pattern", "shard"] as const) assertTold(kind, told);
  const types = ground.events.map(({ type }) => type);
  assert(types.indexOf("gap") > types.lastIndexOf("subscribed"), "The gap was told before all was acknowledged");
  assertEquals(types.filter((type) => type === "ready").length, 2);
  await pubsub.close();
  await reading;
  assertEquals(ground.unhandled, []);
}

function assertBelievable(
  gap: Gap,
  { began, recovered, least }: { began: number; recovered: number; least: number },
): void {
  assertEquals([gap.reasons, gap.dropped], [["reconnect"], 0]);
  const since = gap.since.getTime();
  // Messages came every few milliseconds, so the connection was heard until just before.
  assert(since >= began - 500 && since <= began + 500, `since ${since - began} ms after it happened`);
  const end = since + gap.downMs;
  assert(gap.downMs >= least - 500, `downMs ${gap.downMs}, though ${least} ms without a server`);
  assert(end <= recovered + 100 && end >= recovered - SLACK_MS, `up again ${end - recovered} ms after it was`);
}

/** No number twice, none out of order, and none missing but where a gap is told. */
function assertTold(kind: Kind, told: readonly Message[]): void {
  let last: number | undefined;
  let mayMiss = false;
  for (const message of told) {
    if (message.gap !== undefined) mayMiss = true;
    if (message.kind !== kind) continue;
    const number = Number(message.payload);
    if (last !== undefined) {
      assert(number > last, `${kind}: ${number} after ${last}`);
      assert(number === last + 1 || mayMiss, `${kind}: ${number} after ${last}, and no gap told`);
    }
    mayMiss = false;
    last = number;
  }
  assert(last !== undefined, `${kind}: nothing heard`);
}
