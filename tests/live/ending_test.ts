import type { Client, ClientOptions, Message, PubSub } from "@earshot/redis";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { deadline, delay } from "@std/async";
import { setImmediate } from "node:timers";
import { FaultyProxy } from "../support/faulty_proxy.ts";
import { commonGround, fresh, type Ground, ownGround, RESP2, RESP3 } from "../support/ground.ts";
import { RawConnection, type Traces } from "../support/raw_connection.ts";
import { until } from "../support/until.ts";

const each = await commonGround();

const PER_KIND = 3;

/** A subscriber of which one message waits, so that a loop has a first round. */
interface Subscriber {
  readonly client: Client;
  readonly pubsub: PubSub;
  /** Aborts the signal that the subscriber was made with. */
  readonly abort: () => void;
}

/** Every way to end a subscriber. */
const WAYS: Readonly<Record<string, (subscriber: Subscriber) => Promise<unknown>>> = {
  "leaving the loop": ({ pubsub }) => breakOut(pubsub),
  "leaving a loop over the stream": ({ pubsub }) => breakOut(pubsub.readable),
  "leaving a loop over batches": ({ pubsub }) => breakOut(pubsub.batches()),
  "throwing inside the loop": ({ pubsub }) =>
    assertRejects(
      async () => {
        for await (const { payload } of pubsub) throw new SyntaxError(payload);
      },
      SyntaxError,
      "first",
    ),
  "reader.cancel()": ({ pubsub }) => pubsub.readable.getReader().cancel(),
  "readable.cancel()": ({ pubsub }) => pubsub.readable.cancel(),
  "batches().cancel()": ({ pubsub }) => pubsub.batches().cancel(),
  "cancelling a reader that waits": async ({ pubsub }) => {
    const reader = pubsub.readable.getReader();
    await reader.read();
    const waiting = reader.read();
    await reader.cancel();
    assertEquals((await waiting).done, true);
  },
  "cancelling both branches of a tee": async ({ pubsub }) => {
    const [one, two] = pubsub.readable.tee();
    await Promise.all([one.cancel(), two.cancel()]);
  },
  "aborting a pipe": async ({ pubsub }) => {
    const stop = new AbortController();
    const piped = pubsub.readable.pipeTo(new WritableStream({ write: () => stop.abort() }), { signal: stop.signal });
    await assertRejects(() => piped, DOMException);
  },
  "signal.abort()": async ({ pubsub, abort }) => {
    for await (const { payload } of pubsub) if (payload === "first") abort();
  },
  "close()": ({ pubsub }) => pubsub.close(),
  "await using": async ({ pubsub }) => {
    await using _ = pubsub;
  },
  "client.close()": ({ client }) => client.close(),
  "drain()": async ({ pubsub }) => {
    const taken: Message[] = [];
    const reading = (async () => {
      for await (const message of pubsub) taken.push(message);
    })();
    await pubsub.drain();
    await reading;
    assertEquals(taken.map(({ payload }) => payload), ["first"]);
  },
};

const NO_TRACES: Traces = { channels: [0, 0, 0], shardChannels: [0, 0, 0], patterns: 0, connections: 0 };

for (const [way, end] of Object.entries(WAYS)) {
  each(`After ${way} nothing is left on the server`, async (ground) => {
    const { names, subscriber } = await subscribed(ground);
    assertEquals(await ground.raw.traces(ground.clientName, names), {
      channels: [1, 1, 1],
      shardChannels: [1, 1, 1],
      patterns: PER_KIND,
      connections: 1,
    });

    await end(subscriber);

    assertEquals(await ground.raw.traces(ground.clientName, names), NO_TRACES);
    await subscriber.pubsub.close();
    assertEquals(ground.count("closed"), 1);
    assertEquals(ground.unhandled, []);
  });
}

each("A subscriber may be ended twice, and in several ways at once", async (ground) => {
  const { names, subscriber } = await subscribed(ground);
  const { pubsub, abort, client } = subscriber;
  const reader = pubsub.readable.getReader();

  abort();
  const ends = [
    reader.cancel(),
    pubsub.close(),
    pubsub.drain(),
    pubsub[Symbol.asyncDispose](),
    client.close(),
  ];
  const traces = await Promise.all(ends.map((ended) => ended.then(() => ground.raw.traces(ground.clientName, names))));

  for (const trace of traces) assertEquals(trace, NO_TRACES);
  for (const again of [() => reader.cancel(), () => pubsub.close(), () => pubsub.drain(), () => client.close()]) {
    await again();
  }
  assertEquals(ground.count("closed"), 1);
  assertEquals(ground.unhandled, []);
});

each("Closing at whatever step of the first subscription leaves nothing", async (ground) => {
  const client = ground.client();
  const answers = new Set<string>();
  for (let turns = 0; !answers.has("subscribed"); turns++) {
    assert(turns < 2_000, "It never subscribes");
    const channel = fresh("early");
    const pubsub = client.pubsub();
    const asked = pubsub.subscribe(channel).then(() => "subscribed", (error) => error.name);
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));

    await pubsub.close();

    const traces = await ground.raw.traces(ground.clientName, { channels: [channel] });
    assertEquals(traces, { ...NO_TRACES, channels: [0], shardChannels: [] });
    answers.add(await asked);
  }
  assertEquals([...answers].sort(), ["ConnectionError", "subscribed"]);
  assertEquals(ground.unhandled, []);
});

each("unsubscribe resolves when the server has no such subscription, and leaves the connection", async (ground) => {
  const { names, subscriber: { pubsub } } = await subscribed(ground);

  await pubsub.unsubscribe(names.channels.slice(0, 2));
  assertEquals((await ground.raw.traces(ground.clientName, names)).channels, [0, 0, 1]);
  await Promise.all([pubsub.unsubscribe(), pubsub.punsubscribe(), pubsub.sunsubscribe()]);

  assertEquals(await ground.raw.traces(ground.clientName, names), { ...NO_TRACES, connections: 1 });
});

each("Cancelling a further stream lets go of its own names and leaves the connection", async (ground) => {
  const [a, b, c, s] = [fresh("a"), fresh("b"), fresh("c"), fresh("s")];
  const names = { channels: [a, b, c], shardChannels: [s] };
  const pubsub = await ground.client().subscribe(a);
  const one = pubsub.stream({ channels: [a, b], patterns: `${a}*`, shardChannels: s });
  const two = pubsub.stream({ channels: [b, c], patterns: `${a}*` });
  await pubsub.synced();
  const now = () => ground.raw.traces(ground.clientName, names);
  assertEquals(await now(), { channels: [1, 1, 1], shardChannels: [1], patterns: 1, connections: 1 });

  await one.cancel();
  assertEquals(await now(), { channels: [1, 1, 1], shardChannels: [0], patterns: 1, connections: 1 });
  await ground.raw.ask("PUBLISH", b, "to the second");
  for await (const { payload } of two) {
    assertEquals(payload, "to the second");
    break;
  }
  assertEquals(await now(), { channels: [1, 0, 0], shardChannels: [0], patterns: 0, connections: 1 });
  await ground.raw.ask("PUBLISH", a, "to the handle");
  for await (const { payload } of pubsub) {
    assertEquals(payload, "to the handle");
    break;
  }
  assertEquals(await now(), { channels: [0, 0, 0], shardChannels: [0], patterns: 0, connections: 0 });
});

each("drain delivers what waits, and the loop ends after the server has let go", async (ground) => {
  const channel = fresh("drained");
  const pubsub = await ground.client().subscribe(channel);
  await ground.raw.askAll(Array.from({ length: 500 }, (_, index) => ["PUBLISH", channel, index]));
  await until("all of them", 5_000, () => pubsub.stats().received === 500);

  const drained = pubsub.drain();
  const payloads: number[] = [];
  for await (const { payload } of pubsub) payloads.push(Number(payload));

  const traces = await ground.raw.traces(ground.clientName, { channels: [channel] });
  assertEquals(traces, { ...NO_TRACES, channels: [0], shardChannels: [] });
  assertEquals(payloads, Array.from({ length: 500 }, (_, index) => index));
  await drained;
});

/** The fourth attempt is a second away, so that an end that waited for it would be late. */
const SLOWER = { initialDelayMs: 10, factor: 10, maxDelayMs: 1_000, jitter: 0 };

ownGround("While the server is down, every way to end ends at once and for good", async (ground) => {
  const all = await Promise.all(
    Object.entries(WAYS).map(async ([way, end]) => ({
      way,
      end,
      ...await subscribed(ground, { reconnect: SLOWER }),
    })),
  );
  await ground.server.kill("SIGKILL");
  await until("failed attempts", 5_000, () => ground.count("reconnecting") >= 3 * all.length);

  await Promise.all(all.map(async ({ way, end, subscriber }) => {
    assert(await took(() => end(subscriber)) < 500, way);
  }));

  assertEquals(ground.count("closed"), all.length);
  await ground.server.restart();
  await using raw = await RawConnection.open(ground.server.port);
  const connections = await raw.info("total_connections_received");
  // Time enough for a further attempt.
  await delay(1_200);
  assertEquals(await raw.info("total_connections_received"), connections);
  assertEquals(ground.unhandled, []);
}, [RESP3, RESP2]);

ownGround(
  "While a new connection is frozen in its handshake, every way to end ends in time and for good",
  async (ground) => {
    await using proxy = await FaultyProxy.open(ground.server.port);
    const options = { port: proxy.port, reconnect: { initialDelayMs: 10, maxDelayMs: 20 }, closeTimeoutMs: 100 };
    const all = await Promise.all(
      Object.entries(WAYS).map(async ([way, end]) => ({
        way,
        end,
        ...await subscribed(ground, options),
      })),
    );
    proxy.freeze("future");
    proxy.cut();
    await until("frozen connections", 5_000, () => proxy.open === all.length && proxy.accepted === 2 * all.length);

    await Promise.all(all.map(async ({ way, end, subscriber }) => {
      assert(await took(() => end(subscriber)) < 500, way);
    }));

    await until("the proxy hears of it", 1_000, () => proxy.open === 0);
    await delay(200);
    assertEquals(proxy.accepted, 2 * all.length);
    assertEquals(ground.count("closed"), all.length);
    assertEquals(ground.unhandled, []);
  },
  [RESP3, RESP2],
);

/** A subscriber to three names of each kind, of which one message waits. */
async function subscribed(
  ground: Ground,
  options: ClientOptions = {},
): Promise<{ subscriber: Subscriber; names: { channels: string[]; shardChannels: string[] } }> {
  const some = (stem: string) => Array.from({ length: PER_KIND }, () => fresh(stem));
  const names = { channels: some("channel"), shardChannels: some("shard") };
  const client = ground.client(options);
  const abort = new AbortController();
  const pubsub = await client.subscribe(names.channels, { signal: abort.signal });
  await Promise.all([pubsub.psubscribe(some("pattern")), pubsub.ssubscribe(names.shardChannels)]);
  await ground.raw.ask("PUBLISH", names.channels[0]!, "first");
  await until("the first message", 5_000, () => pubsub.stats().received === 1);
  return { subscriber: { client, pubsub, abort: () => abort.abort() }, names };
}

async function breakOut(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items) break;
}

/** How long it takes, in milliseconds; fails after five seconds. */
async function took(run: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await deadline(run(), 5_000);
  return performance.now() - began;
}
