import { type Client, type ClientOptions, type Kind, type PubSub, ReplyError } from "@earshot/redis";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { delay } from "@std/async";
import { inspect } from "node:util";
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
import { startServer } from "../support/redis_server.ts";
import { testUnless } from "../support/skip.ts";
import { until } from "../support/until.ts";

const each = await commonGround();

const SUBSCRIBE: Readonly<Record<Kind, (client: Client | PubSub, names: string[]) => Promise<unknown>>> = {
  channel: (client, names) => client.subscribe(names),
  pattern: (client, names) => client.psubscribe(names),
  shard: (client, names) => client.ssubscribe(names),
};
const VERBS: Readonly<Record<Kind, string>> = { channel: "SUBSCRIBE", pattern: "PSUBSCRIBE", shard: "SSUBSCRIBE" };

/** A user who may use just these channels and patterns, and what a client needs to be that user. */
async function permit({ raw }: Ground, channels: readonly string[]): Promise<{ username: string; password: string }> {
  const user = { username: fresh("picky"), password: fresh("password") };
  const rules = channels.map((channel) => `&${channel}`);
  await raw.ask("ACL", "SETUSER", user.username, "on", `>${user.password}`, "+@all", "~*", "resetchannels", ...rules);
  return user;
}

for (const kind of ["channel", "pattern", "shard"] as const) {
  each(`NOPERM for one of three names rejects that call, and touches no other name: ${kind}`, async (ground) => {
    // The permission of a pattern names the pattern itself.
    const stem = fresh("ruled");
    const [one, two, three, refused] = ["one", "two", "three", "refused"].map((word) => `${stem}-${word}`) as [
      string,
      string,
      string,
      string,
    ];
    const user = await permit(ground, [one, two, three]);
    const pubsub = ground.client(user).pubsub();

    const error = await assertRejects(() => SUBSCRIBE[kind](pubsub, [one, refused, two]), ReplyError, refused);

    assertEquals([error.code, error.verb, error.channel], ["NOPERM", VERBS[kind], refused]);
    const denials = ground.events.flatMap((event) => event.type === "denied" ? [event] : []);
    assertEquals(denials.map((event) => [event.kind, event.name, event.error]), [[kind, refused, error]]);
    assertEquals(pubsub.subscriptions().map(({ name, state }) => [name, state]), [
      [one, "subscribed"],
      [two, "subscribed"],
    ]);
    await SUBSCRIBE[kind](pubsub, [three]);
    await ground.raw.ask("ACL", "SETUSER", user.username, `&${refused}`);
    await SUBSCRIBE[kind](pubsub, [refused]);

    const names = [one, two, three, refused];
    const verb = kind === "shard" ? "SPUBLISH" : "PUBLISH";
    assertEquals(await ground.raw.askAll(names.map((name) => [verb, name, `to ${name}`])), [1, 1, 1, 1]);
    const heard: string[] = [];
    for await (const { payload, gap } of pubsub) {
      assertEquals(gap, undefined);
      if (heard.push(payload) === 4) break;
    }
    assertEquals(heard, names.map((name) => `to ${name}`));
    assertEquals([ground.count("connected"), ground.count("disconnected")], [1, 0]);
    assertEquals(ground.unhandled, []);
  });

  each(`A client's own call that is refused leaves no connection: ${kind}`, async (ground) => {
    const user = await permit(ground, ["allowed"]);
    const client = ground.client(user);

    const error = await assertRejects(() => SUBSCRIBE[kind](client, ["allowed", "refused"]), ReplyError, "refused");

    assertEquals([error.code, error.channel], ["NOPERM", "refused"]);
    const traces = await ground.raw.traces(ground.clientName, { channels: ["allowed"], shardChannels: ["allowed"] });
    assertEquals(traces, { channels: [0], shardChannels: [0], patterns: 0, connections: 0 });
    assertEquals(ground.unhandled, []);
  });
}

each("A stream of a refused name fails with the refusal, the others live on", async (ground) => {
  const [open, refused] = [fresh("open"), fresh("refused")];
  const pubsub = await ground.client(await permit(ground, [open])).subscribe(open);

  const reader = pubsub.stream({ channels: refused }).getReader();
  const error = await assertRejects(() => reader.read(), ReplyError, refused);

  assertEquals(error.code, "NOPERM");
  await ground.raw.ask("PUBLISH", open, "still here");
  for await (const { payload } of pubsub) {
    assertEquals(payload, "still here");
    break;
  }
  assertEquals(ground.unhandled, []);
});

each("A permission that is taken away denies that name, and the others live on", async (ground) => {
  const [kept, taken] = [fresh("kept"), fresh("taken")];
  const user = await permit(ground, [kept, taken]);
  const pubsub = await ground.client({ ...user, reconnect: { initialDelayMs: 5 } }).subscribe([kept, taken]);

  await ground.raw.ask("ACL", "SETUSER", user.username, "resetchannels", `&${kept}`);
  await until("a second connection", 5_000, () => ground.count("ready") === 2);

  const [first, second] = pubsub.subscriptions();
  assertEquals([first?.name, first?.state], [kept, "subscribed"]);
  assertEquals([second?.name, second?.state, second?.error?.code], [taken, "denied", "NOPERM"]);
  const denials = ground.events.flatMap((event) => event.type === "denied" ? [[event.name, event.error.channel]] : []);
  assertEquals(denials, [[taken, taken]]);
  await assertRejects(() => pubsub.synced(), ReplyError, taken);
  assertEquals(await ground.raw.askAll([["PUBLISH", taken, "lost"], ["PUBLISH", kept, "heard"]]), [0, 1]);
  for await (const { payload, gap } of pubsub) {
    assertEquals([payload, gap?.reasons], ["heard", ["reconnect", "denied"]]);
    break;
  }
  assertEquals(ground.unhandled, []);
});

/** Servers that want a password, and clients that have a wrong one. */
const SECRET = "wrong-Tr0ub4dor";
const WRONG: readonly { name: string; args: readonly string[]; raw: readonly string[]; options: ClientOptions }[] = [
  { name: "requirepass", args: ["--requirepass", "right"], raw: ["right"], options: { password: SECRET } },
  {
    name: "an ACL user",
    args: ["--user", "listener", "on", ">right", "~*", "&*", "+@all"],
    raw: ["listener", "right"],
    options: { username: "listener", password: SECRET },
  },
  {
    name: "an unknown user",
    args: ["--requirepass", "right"],
    raw: ["right"],
    options: { username: "stranger", password: SECRET },
  },
];
/** What a client tries that has the wrong password. */
const TRIES: readonly { name: string; options: ClientOptions; run: (client: Client) => Promise<unknown> }[] = [
  { name: "subscribe", options: {}, run: (client) => client.subscribe("news") },
  {
    name: "subscribe with waitOnFirstConnect",
    options: { waitOnFirstConnect: true },
    run: (client) => client.subscribe("news"),
  },
  { name: "publish", options: {}, run: (client) => client.publish("news", "hello") },
];

for (const { name, args, raw, options } of WRONG) {
  testUnless(
    NOT_OURS,
    `A wrong password rejects once, with no further attempt, and is told nowhere: ${name}`,
    async () => {
      await Promise.all([RESP3, RESP2, NO_HELLO].map(async (dialect) => {
        await using server = await startServer({ args: [...dialect.args, ...args] });
        await using ground = await Ground.at(server, withOptions(dialect, options), raw);
        for (const attempt of TRIES) {
          await inTime(isRefusedOnce(ground, attempt)).catch((cause) => {
            throw new Error(`${dialect.name}, ${attempt.name}: ${cause.message}`, { cause });
          });
        }
        assertTellsNothing("the events", ground.events);
        assertEquals(ground.unhandled, []);
      }));
    },
  );
}

testUnless(
  NOT_OURS,
  "Without a password where one is needed, the first call rejects with NOAUTH, and nobody tries on",
  async () => {
    await Promise.all([RESP3, RESP2, NO_HELLO].map(async (dialect) => {
      await using server = await startServer({ args: [...dialect.args, "--requirepass", "right"] });
      await using ground = await Ground.at(server, dialect, ["right"]);
      for (const attempt of TRIES) await inTime(isRefusedOnce(ground, attempt, "NOAUTH"));
      assertEquals(ground.unhandled, []);
    }));
  },
);

async function isRefusedOnce(
  ground: Ground,
  { options, run }: typeof TRIES[number],
  code = "WRONGPASS",
): Promise<void> {
  const before = await ground.raw.info("total_connections_received");
  const client = ground.client({ ...options, reconnect: { initialDelayMs: 10, maxDelayMs: 20 } });

  const error = await assertRejects(() => run(client), ReplyError);

  assertEquals(error.code, code);
  // Not tried once more in RESP2 when RESP3 was told no.
  if (code === "WRONGPASS") assertEquals(error.verb, ground.dialect.name === RESP3.name ? "HELLO" : "AUTH");
  // Time enough for thirty further attempts.
  await delay(300);
  assertEquals(await ground.raw.info("total_connections_received"), before + 1);
  assertTellsNothing("the error", error);
  await client.close();
  assertTellsNothing("the client", client);
}

each("A permission that is given back brings the name back by itself, and the gap is told", async (ground) => {
  const [kept, taken] = [fresh("kept"), fresh("taken")];
  const user = await permit(ground, [kept, taken]);
  const options = { ...user, reconnect: { initialDelayMs: 5 }, denied: { retryMs: 50 } };
  const pubsub = await ground.client(options).subscribe([kept, taken]);
  await ground.raw.ask("ACL", "SETUSER", user.username, "resetchannels", `&${kept}`);
  await until("a refusal", 5_000, () => ground.count("denied") === 1);
  await until("the others", 5_000, () => ground.count("gap") === 1);

  await ground.raw.ask("ACL", "SETUSER", user.username, `&${taken}`);
  await until("the name", 5_000, () => ground.count("gap") === 2);

  assertEquals(pubsub.subscriptions().map(({ state }) => state), ["subscribed", "subscribed"]);
  await ground.raw.ask("PUBLISH", taken, "again");
  for await (const { payload, gap } of pubsub) {
    assertEquals([payload, gap?.reasons], ["again", ["reconnect", "denied"]]);
    break;
  }
  assertEquals([ground.count("denied"), ground.count("disconnected")], [1, 1]);
  assertEquals(ground.unhandled, []);
});

each("A password that is changed meanwhile is tried at leisure, and told as such", async (ground) => {
  const user = await permit(ground, ["*"]);
  const client = ground.client(user);
  const pubsub = await client.subscribe(fresh("news"));
  await ground.raw.ask("ACL", "SETUSER", user.username, "resetpass", ">another");
  const before = await ground.raw.info("total_connections_received");

  await ground.raw.ask("CLIENT", "KILL", "TYPE", "pubsub");
  await until("a refused attempt", 5_000, () => ground.count("disconnected") === 2);
  // The default first delay is 50 ms: time enough for several attempts.
  await delay(600);

  assertEquals(await ground.raw.info("total_connections_received"), before + 1);
  const causes = ground.events.flatMap((event) => event.type === "disconnected" ? [event.error] : []);
  assert(causes[1] instanceof ReplyError && causes[1].code === "WRONGPASS", inspect(causes[1]));
  assertTellsNothing("the events", ground.events, user.password);
  await pubsub.close();
  assertEquals(ground.unhandled, []);
}, [RESP3, RESP2]);

function withOptions(dialect: Dialect, options: ClientOptions): Dialect {
  return { ...dialect, options: { ...dialect.options, ...options } };
}

/** Looks for the secret in every text that one could print, log or send. */
function assertTellsNothing(what: string, told: unknown, secret: string = SECRET): void {
  const texts = [
    inspect(told, { depth: Infinity, showHidden: true, getters: true }),
    JSON.stringify(told),
    String(told),
  ];
  for (let error = told; error instanceof Error; error = error.cause) {
    texts.push(error.message, error.stack ?? "", JSON.stringify(Object.entries(error)));
  }
  assert(texts.join("").length > 0);
  for (const text of texts) assert(!text.includes(secret), `${what} tells the password: ${text}`);
}
