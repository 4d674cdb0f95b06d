import { type Client, type ClientOptions, ConnectionError, type PubSub, TimeoutError } from "@earshot/redis";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { all, isSettled, turn } from "../support/turn.ts";
import { onStage, payloads, type Stage, take } from "./stage.ts";

interface Cast {
  readonly redis: Client;
  readonly pubsub: PubSub;
  readonly abort: AbortController;
}

/** Every way to end a subscriber; each may be used more than once, and at once with the others. */
const ENDS: readonly [string, (cast: Cast) => Promise<unknown>][] = [
  ["close()", ({ pubsub }) => pubsub.close()],
  ["readable.cancel()", ({ pubsub }) => pubsub.readable.cancel()],
  ["Symbol.asyncDispose", ({ pubsub }) => pubsub[Symbol.asyncDispose]()],
  ["leaving the loop", ({ pubsub }) => pubsub[Symbol.asyncIterator]().return!()],
  ["drain()", ({ pubsub }) => pubsub.drain({ timeoutMs: 100 }).catch(giveUp)],
  ["client.close()", ({ redis }) => redis.close()],
  ["aborting", ({ pubsub, abort }) => {
    abort.abort();
    return pubsub.close();
  }],
];
/** The server has so long to let go, in milliseconds; and what a busy machine may add. */
const CLOSE_MS = 5;
const SLACK_MS = 3_000;

/** Where nobody takes what waits, drain() ends with its deadline. */
function giveUp(error: unknown): void {
  if (!(error instanceof TimeoutError && error.what === "drain")) throw error;
}

/** A subscriber whose first name is not acknowledged yet. */
function waiting(redis: Client, signal: AbortSignal): PubSub {
  const pubsub = redis.pubsub({ signal });
  pubsub.subscribe("news").catch(() => {});
  return pubsub;
}

/** Where a subscriber may stand when it is ended. */
const MOMENTS: readonly [
  string,
  (stage: Stage, redis: Client, signal: AbortSignal) => Promise<PubSub>,
  options?: ClientOptions,
][] = [
  ["before it has connected", (_, redis, signal) => Promise.resolve(redis.pubsub({ signal }))],
  ["while it is subscribed", (_, redis, signal) => redis.subscribe("news", { signal })],
  ["while it connects", (_, redis, signal) => Promise.resolve(waiting(redis, signal))],
  ["while it asks for credentials", async (_, redis, signal) => {
    const pubsub = waiting(redis, signal);
    await turn();
    return pubsub;
  }, { credentials: () => new Promise(() => {}) }],
  ["while it dials", async (_, redis, signal) => {
    const pubsub = waiting(redis, signal);
    await turn();
    return pubsub;
  }, { dial: () => new Promise(() => {}) }],
  ["while it shakes hands with a server that is silent", async (stage, redis, signal) => {
    stage.broker.freeze();
    const pubsub = waiting(redis, signal);
    await turn();
    return pubsub;
  }],
  ["while its first SUBSCRIBE is not answered", async (stage, redis, signal) => {
    const pubsub = waiting(redis, signal);
    await stage.hears("connected");
    stage.broker.freeze();
    return pubsub;
  }],
  ["while another name is not answered", async (stage, redis, signal) => {
    const pubsub = await redis.subscribe("news", { signal });
    stage.broker.freeze();
    pubsub.subscribe("more").catch(() => {});
    await turn();
    return pubsub;
  }],
  ["while it unsubscribes", async (stage, redis, signal) => {
    const pubsub = await redis.subscribe(["news", "more"], { signal });
    stage.broker.freeze();
    pubsub.unsubscribe("more").catch(() => {});
    await turn();
    return pubsub;
  }],
  ["while it is full, and does not read", async (stage, redis, signal) => {
    const pubsub = await redis.subscribe("news", { signal, overflow: "block", maxQueuedMessages: 1 });
    for (let i = 0; i < 10; i++) stage.broker.publish("news", String(i));
    await turn();
    assertEquals(pubsub.stats().queued, 1);
    return pubsub;
  }],
  ["while it waits for its next attempt", async (stage, redis, signal) => {
    const pubsub = await redis.subscribe("news", { signal });
    stage.broker.disconnectAll();
    await stage.hears("reconnecting");
    return pubsub;
  }, { reconnect: { initialDelayMs: 3_600_000, maxDelayMs: 3_600_000 } }],
  ["while it closes", async (stage, redis, signal) => {
    const pubsub = await redis.subscribe("news", { signal });
    stage.broker.freeze();
    void pubsub.close();
    return pubsub;
  }],
  ["when it is closed", async (_, redis, signal) => {
    const pubsub = await redis.subscribe("news", { signal });
    await pubsub.close();
    return pubsub;
  }],
  ["while the server is silent", async (stage, redis, signal) => {
    const pubsub = await redis.subscribe("news", { signal });
    stage.broker.freeze();
    return pubsub;
  }],
  ["while the connection is down", async (stage, redis, signal) => {
    const pubsub = await redis.subscribe("news", { signal });
    stage.broker.refuseConnections();
    stage.broker.disconnectAll();
    await stage.hears("reconnecting", 2);
    return pubsub;
  }],
  ["when the connection has just broken", async (stage, redis, signal) => {
    const pubsub = await redis.subscribe("news", { signal });
    stage.broker.disconnectAll();
    return pubsub;
  }],
];

for (const [end, run] of ENDS) {
  for (const [moment, prepare, options] of MOMENTS) {
    onStage(`${end} ${moment} resolves in time, again and again, and nothing is left`, async (stage) => {
      const abort = new AbortController();
      const redis = stage.client({ closeTimeoutMs: CLOSE_MS, ...options });
      const pubsub = await prepare(stage, redis, abort.signal);
      const cast = { redis, pubsub, abort };
      const began = performance.now();
      await run(cast);
      const tookMs = performance.now() - began;
      assert(tookMs < CLOSE_MS + SLACK_MS, `It took ${tookMs} ms`);
      stage.broker.thaw();
      await turn();
      assertEquals([stage.broker.connectionCount, stage.broker.subscriberCount("news")], [0, 0]);
      assertEquals([await all(pubsub.readable), pubsub.subscriptions()], [[], []]);
      assert(stage.heard("closed").length <= 1);
      await Promise.all(ENDS.map(([, again]) => again(cast)));
      await assertRejects(() => pubsub.subscribe("news"), ConnectionError, "The PubSub is closed");
      await assertRejects(() => pubsub.synced(), ConnectionError, "closed");
      assert(stage.heard("closed").length <= 1);
    });
  }
}

for (const [moment, prepare, options] of MOMENTS) {
  onStage(`Every way at once ${moment} is one end`, async (stage) => {
    const abort = new AbortController();
    const redis = stage.client({ closeTimeoutMs: CLOSE_MS, ...options });
    const pubsub = await prepare(stage, redis, abort.signal);
    await Promise.all(ENDS.map(([, run]) => run({ redis, pubsub, abort })));
    stage.broker.thaw();
    await turn();
    assertEquals([stage.broker.connectionCount, await all(pubsub.readable)], [0, []]);
    assert(stage.heard("closed").length <= 1);
  });
}

onStage("close() says goodbye: it unsubscribes, waits for the server, and drops what waits", async (stage) => {
  const pubsub = await stage.client().subscribe(["a", "b"]);
  await pubsub.psubscribe("p*");
  stage.broker.publish("a", "dropped");
  await turn();
  stage.broker.freeze();
  const closed = pubsub.close();
  assert(!await isSettled(closed));
  stage.broker.thaw();
  await closed;
  assertEquals(stage.sent("UNSUBSCRIBE", "PUNSUBSCRIBE", "QUIT"), [
    "UNSUBSCRIBE a",
    "UNSUBSCRIBE b",
    "PUNSUBSCRIBE p*",
    "QUIT",
  ]);
  assertEquals(stage.heard("unsubscribed").map(({ name }) => name), ["a", "b", "p*"]);
  assertEquals([await all(pubsub.readable), pubsub.stats().queued], [[], 0]);
});

onStage("A reader and a loop that wait are done when the subscriber is closed", async (stage) => {
  const redis = stage.client();
  const read = await redis.subscribe("news");
  const reader = read.readable.getReader();
  const pending = reader.read();
  await read.close();
  assertEquals((await pending).done, true);
  await reader.closed;

  const looped = await redis.subscribe("news");
  const loop = (async () => {
    for await (const _ of looped);
  })();
  await turn();
  await looped.close();
  await loop;
});

onStage("Calls that wait when the subscriber is closed are rejected", async (stage) => {
  const pubsub = await stage.client({ closeTimeoutMs: 5 }).subscribe("news");
  stage.broker.freeze();
  const subscribed = pubsub.subscribe("late");
  const rejected = assertRejects(() => subscribed, ConnectionError, "Closed before the server acknowledged it");
  const unsubscribed = pubsub.unsubscribe("news");
  await pubsub.close();
  await rejected;
  await unsubscribed;
});

onStage("drain() delivers what waits, and what the server sent before it heard of it", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  stage.broker.publish("news", "waits");
  await turn();
  stage.broker.publish("news", "on its way");
  const drained = pubsub.drain();
  await stage.hears("closed");
  stage.broker.publish("news", "too late");
  assert(!await isSettled(drained));
  await assertRejects(() => pubsub.subscribe("other"), ConnectionError);
  assertEquals(payloads(await all(pubsub.readable)), ["waits", "on its way"]);
  await drained;
});

onStage("drain() that takes too long gives up, and what waits is dropped", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  stage.broker.publish("news", "never read");
  await turn();
  await assertRejects(() => pubsub.drain({ timeoutMs: 1 }), TimeoutError, "drain");
  assertEquals([pubsub.stats().queued, await all(pubsub.readable)], [0, []]);
});

onStage("close() cuts a drain() short", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  stage.broker.publish("news", "never read");
  await turn();
  const reader = pubsub.readable.getReader();
  const drained = pubsub.drain();
  assert(!await isSettled(drained));
  await pubsub.close();
  await drained;
  await reader.closed;
  assertEquals((await reader.read()).done, true);
});

onStage("drain() of a stream that blocks delivers everything", async (stage) => {
  const pubsub = await stage.client().subscribe("news", { overflow: "block", maxQueuedMessages: 2 });
  for (let i = 0; i < 10; i++) {
    stage.broker.publish("news", String(i));
    await Promise.resolve();
  }
  await turn();
  const drained = pubsub.drain();
  assertEquals((await all(pubsub.readable)).length, 10);
  await drained;
});

onStage("drain() with a signal that is aborted does nothing", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  await assertRejects(() => pubsub.drain({ signal: AbortSignal.abort(new RangeError("no")) }), RangeError, "no");
  assertEquals(stage.broker.subscriberCount("news"), 1);
});

onStage("A signal ends client.subscribe, with its reason, at whatever moment", async (stage) => {
  const redis = stage.client({ closeTimeoutMs: 5 });
  const reason = new RangeError("enough");
  await assertRejects(() => redis.subscribe("news", { signal: AbortSignal.abort(reason) }), RangeError, "enough");
  assertEquals(stage.broker.connectionCount, 0);
  for (const turns of [0, 1]) {
    stage.broker.freeze();
    const abort = new AbortController();
    const subscribed = redis.subscribe("news", { signal: abort.signal });
    for (let i = 0; i < turns; i++) await turn();
    abort.abort(reason);
    await assertRejects(() => subscribed, RangeError, "enough");
    stage.broker.thaw();
    await turn();
    assertEquals(stage.broker.connectionCount, 0);
  }
});

onStage("A signal that is aborted ends client.pubsub at once", async (stage) => {
  const pubsub = stage.client().pubsub({ signal: AbortSignal.abort() });
  assertEquals(await all(pubsub.readable), []);
  await assertRejects(() => pubsub.subscribe("news"), ConnectionError);
});

onStage("A subscriber that is closed no longer listens to its signal", async (stage) => {
  const { signal } = new AbortController();
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  };
  const pubsub = await stage.client().subscribe("news", { signal });
  assertEquals(listeners, 1);
  await pubsub.close();
  assertEquals(listeners, 0);
});

onStage("The events of a subscriber end with it, and are empty after it", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  const events = pubsub.events();
  const unread = pubsub.events();
  await unread.cancel();
  await pubsub.close();
  assertEquals((await all(events)).map(({ type }) => type), ["unsubscribed", "closed"]);
  assertEquals(await all(pubsub.events()), []);
});

onStage("At most 1,024 events wait, the newest", async (stage) => {
  const pubsub = await stage.client().subscribe("anchor");
  const events = pubsub.events();
  const names = Array.from({ length: 1_100 }, (_, i) => String(i));
  await pubsub.subscribe(names);
  await pubsub.close();
  const told = await all(events);
  assertEquals([told.length, told.at(-1)?.type], [1_024, "closed"]);
});

onStage("An onEvent that throws hurts nobody", async (stage) => {
  const pubsub = await stage.client({
    onEvent: () => {
      throw new Error("An observer's own trouble");
    },
  }).subscribe("news");
  await stage.blink(pubsub);
  stage.broker.publish("news", "hello");
  assertEquals(payloads(await take(pubsub, 1)), ["hello"]);
  await pubsub.close();
  assertEquals(stage.heard("closed").length, 1);
});

onStage("Closing from inside onEvent is harmless", async (stage) => {
  for (const type of ["connecting", "connected", "subscribed", "disconnected", "reconnecting", "ready"] as const) {
    const subscribers: PubSub[] = [];
    const closes: Promise<void>[] = [];
    const redis = stage.client({
      onEvent: (event) => {
        if (event.type === type) closes.push(...subscribers.map((subscriber) => subscriber.close()));
      },
    });
    const subscriber = redis.pubsub();
    subscribers.push(subscriber);
    subscriber.subscribe("news").then(() => stage.broker.disconnectAll(), () => {});
    assertEquals(await all(subscriber.readable), []);
    assert(closes.length > 0, type);
    await Promise.all(closes);
    assertEquals(stage.broker.connectionCount, 0, type);
  }
});

onStage("What is asked for while it drains is refused, and does not hang", async (stage) => {
  const pubsub = await stage.client().subscribe("news");
  stage.broker.publish("news", "waits");
  await turn();
  const drained = pubsub.drain();
  await assertRejects(() => pubsub.subscribe("more"), ConnectionError, "closed");
  const late = pubsub.stream({ channels: "more" }).getReader();
  await assertRejects(() => late.read(), ConnectionError, "closed");
  const reader = pubsub.readable.getReader();
  assertEquals((await reader.read()).value?.payload, "waits");
  await drained;
  assertEquals((await reader.read()).done, true);
});
