import type { Kind, PubSub } from "@earshot/redis";
import { assertEquals } from "@std/assert";
import process from "node:process";
import { setImmediate } from "node:timers";
import { Dice } from "../support/dice.ts";
import { commonGround, fresh, type Ground } from "../support/ground.ts";
import { until } from "../support/until.ts";

const each = await commonGround();

/** CHURN_SEED repeats what a failure printed. */
const SEED = process.env.CHURN_SEED === undefined ? undefined : Number(process.env.CHURN_SEED);
const CALLS = 1_000;
const NAMES = 50;
/** After how many calls the connection is killed. */
const KILLS: readonly number[] = [250, 500, 750];
/** After how many further calls there has to be a connection again: about half of the calls find none, half find one. */
const CALLS_WITHOUT = 120;

const KINDS: readonly Kind[] = ["channel", "pattern", "shard"];
const SUBSCRIBE: Readonly<Record<Kind, (pubsub: PubSub, names: string[]) => Promise<void>>> = {
  channel: (pubsub, names) => pubsub.subscribe(names),
  pattern: (pubsub, names) => pubsub.psubscribe(names),
  shard: (pubsub, names) => pubsub.ssubscribe(names),
};
const UNSUBSCRIBE: typeof SUBSCRIBE = {
  channel: (pubsub, names) => pubsub.unsubscribe(names),
  pattern: (pubsub, names) => pubsub.punsubscribe(names),
  shard: (pubsub, names) => pubsub.sunsubscribe(names),
};

each(
  "A thousand concurrent calls with three disconnects in between end in the last state asked for",
  async (ground) => {
    const dice = new Dice(SEED);
    console.log(`CHURN_SEED=${dice.seed}`);
    const stem = fresh("churn");
    const names = Array.from({ length: NAMES }, (_, index) => ({
      kind: KINDS[index % 3]!,
      name: index % 3 === 1 ? `${stem}-${index}*` : `${stem}-${index}`,
    }));
    const pubsub = ground.client({ reconnect: { initialDelayMs: 5, maxDelayMs: 20 } }).pubsub();
    const wanted = new Set<string>();
    const calls: Promise<void>[] = [];

    for (let call = 0; call < CALLS; call++) {
      if (KILLS.includes(call)) await disconnect(ground);
      else if ([0, ...KILLS].includes(call - CALLS_WITHOUT)) await connected(ground);
      // Some calls follow another in the same turn, some after the server has answered.
      else if (dice.next() < 0.1) await new Promise((resolve) => setImmediate(resolve));
      else if (dice.next() < 0.02) await ground.raw.ask("PING");
      const { kind } = dice.pick(names);
      const some = Array.from({ length: dice.pick([1, 1, 2, 5]) }, () => dice.pick(names))
        .filter((name) => name.kind === kind).map(({ name }) => name);
      if (some.length === 0) some.push(dice.pick(names.filter((name) => name.kind === kind)).name);
      const wants = dice.next() < 0.5;
      calls.push((wants ? SUBSCRIBE : UNSUBSCRIBE)[kind](pubsub, some));
      for (const name of some) wants ? wanted.add(`${kind} ${name}`) : wanted.delete(`${kind} ${name}`);
    }

    assertEquals(calls.length, CALLS);
    await Promise.all(calls);
    assertEquals(states(pubsub), [...wanted].map((name) => `${name} subscribed`).sort());
    await pubsub.synced({ timeoutMs: 5_000 });
    assertEquals(states(pubsub), [...wanted].map((name) => `${name} subscribed`).sort());
    await assertServerHas(ground, stem, wanted);
    assertEquals(ground.count("disconnected"), KILLS.length);

    await ground.raw.ask("CLIENT", "KILL", "TYPE", "pubsub");
    const readied = ground.count("ready");
    await until("the connection after all that", 5_000, () => ground.count("ready") > readied);
    await assertServerHas(ground, stem, wanted);

    await Promise.all([pubsub.unsubscribe(), pubsub.punsubscribe(), pubsub.sunsubscribe()]);
    assertEquals(pubsub.subscriptions(), []);
    await assertServerHas(ground, stem, new Set());
    assertEquals(ground.unhandled, []);
  },
);

/**
 * Kills the connection, once there is one that has subscribed. A call was answered before: a first connection that fails
 * is not mended.
 */
async function disconnect(ground: Ground): Promise<void> {
  await until("an answer", 5_000, () => ground.count("subscribed") > 0);
  const { raw } = ground;
  await until("a connection to kill", 5_000, async () => Number(await raw.ask("CLIENT", "KILL", "TYPE", "pubsub")) > 0);
}

/** Waits until the connection is open that follows the last kill. */
async function connected(ground: Ground): Promise<void> {
  await until("a connection", 5_000, () => ground.count("connected") > ground.count("disconnected"));
}

function states(pubsub: PubSub): string[] {
  return pubsub.subscriptions().map(({ kind, name, state }) => `${kind} ${name} ${state}`).sort();
}

async function assertServerHas({ raw }: Ground, stem: string, wanted: ReadonlySet<string>): Promise<void> {
  const [channels, shards, patterns] = await raw.askAll([
    ["PUBSUB", "CHANNELS", `${stem}-*`],
    ["PUBSUB", "SHARDCHANNELS", `${stem}-*`],
    ["PUBSUB", "NUMPAT"],
  ]);
  const has = (kind: Kind) =>
    [...wanted].filter((name) => name.startsWith(`${kind} `)).map((name) => name.slice(kind.length + 1));
  assertEquals(Array.isArray(channels) && channels.map(String).sort(), has("channel").sort());
  assertEquals(Array.isArray(shards) && shards.map(String).sort(), has("shard").sort());
  assertEquals(patterns, has("pattern").length);
}
