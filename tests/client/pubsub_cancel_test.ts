/** A local stream may be left at whatever moment of its subscriber: in time, more than once, and its names go with the last. */
import { type Client, type ClientOptions, ConnectionError, type Message, type PubSub } from "@earshot/redis";
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { testUnless } from "../support/skip.ts";
import { test } from "../support/test.ts";
import { turn } from "../support/turn.ts";
import { until } from "../support/until.ts";
import { MovingStage } from "./moving_stage.ts";
import { AT_ONCE, onStage, type Stage } from "./stage.ts";

type Stream = ReadableStream<Message>;

/** Why no pipe can be aborted here, if so. */
const CANNOT_ABORT = globalThis.navigator?.userAgent === "Cloudflare-Workers"
  ? "the platform's own pipes differ from the standard: an abort does not end one that waits"
  : undefined;
const ABORT = "aborting a pipeTo()";

/** Every way to leave a stream; what it gives leaves it once more. */
const WAYS: readonly [string, (stream: Stream) => () => Promise<unknown>][] = [
  ["cancel()", (stream) => () => stream.cancel()],
  ["reader.cancel()", (stream) => {
    const reader = stream.getReader();
    return () => reader.cancel();
  }],
  ["leaving the loop", (stream) => {
    const iterator = stream[Symbol.asyncIterator]();
    return () => iterator.return!();
  }],
  [ABORT, (stream) => () => {
    if (stream.locked) return Promise.resolve();
    const abort = new AbortController();
    const piped = stream.pipeTo(new WritableStream(), { signal: abort.signal });
    abort.abort();
    return piped.catch((error) => error === abort.signal.reason ? undefined : Promise.reject(error));
  }],
];

/** The server has so long to let go, in milliseconds; and what a busy machine may add. */
const CLOSE_MS = 5;
const SLACK_MS = 3_000;

/** Something that hangs until all is healed. */
class Gate {
  #open: () => void = () => {};
  readonly opened = new Promise<void>((resolve) => this.#open = resolve);

  open(): void {
    this.#open();
  }
}

interface Scene {
  readonly stage: Stage;
  readonly pubsub: PubSub;
  readonly gate: Gate;
}

/** Where a subscriber may stand. */
interface Moment {
  /** Done before the streams are made, which then wait; without it they stand before anything else. */
  readonly before?: (stage: Stage) => void;
  /** Done when they are made. */
  readonly after?: (scene: Scene) => unknown;
  readonly options?: (stage: Stage, gate: Gate) => ClientOptions;
  /** What becomes of the subscriber. @default {"lives"} */
  readonly end?: "lives" | "closed" | "failed";
}

const MOMENTS: Readonly<Record<string, Moment>> = {
  "before it has connected": { before: () => {} },
  "while it asks for credentials": {
    before: () => {},
    after: turn,
    options: (_, gate) => ({ credentials: () => gate.opened.then(() => ({})) }),
  },
  "while it dials": {
    before: () => {},
    after: turn,
    options: ({ broker }, gate) => ({ dial: (...given) => gate.opened.then(() => broker.dial(...given)) }),
  },
  "while it shakes hands": { before: ({ broker }) => broker.freeze(), after: turn },
  "while its name is not answered": {
    before: () => {},
    after: async ({ stage }) => {
      await stage.hears("connected");
      stage.broker.freeze();
    },
  },
  "when its first connection has failed": {
    before: ({ broker }) => broker.refuseConnections(),
    after: turn,
    end: "failed",
  },
  "while it is subscribed": {},
  "while the server is silent": { after: ({ stage }) => stage.broker.freeze() },
  "while another name is not answered": {
    after: async ({ stage, pubsub }) => {
      stage.broker.freeze();
      pubsub.subscribe("more").catch(() => {});
      await turn();
    },
  },
  "while the main stream is full, and nothing is read": {
    after: async ({ stage }) => {
      for (let i = 0; i < 10; i++) stage.broker.publish("news", String(i));
      await turn();
    },
  },
  "when the connection has just broken": { after: ({ stage }) => stage.broker.disconnectAll() },
  "while it waits for its next attempt": {
    after: async ({ stage }) => {
      stage.broker.disconnectAll();
      await stage.hears("reconnecting");
    },
    options: () => ({ reconnect: { initialDelayMs: 100, maxDelayMs: 100, jitter: 0 } }),
  },
  "while attempts fail": {
    after: async ({ stage }) => {
      stage.broker.refuseConnections();
      stage.broker.disconnectAll();
      await stage.hears("reconnecting", 2);
    },
  },
  "while it dials again": {
    after: async ({ stage }) => {
      stage.broker.disconnectAll();
      await stage.hears("connecting", 2);
      await turn();
    },
    options: (stage, gate) => ({
      dial: async (...given) => {
        if (stage.heard("connected").length > 0) await gate.opened;
        return await stage.broker.dial(...given);
      },
    }),
  },
  "while it asks for its names again": {
    after: async ({ stage }) => {
      stage.broker.disconnectAll();
      await stage.hears("connected", 2);
      stage.broker.freeze();
    },
  },
  "while its name is refused": {
    after: async ({ stage }) => {
      stage.broker.refuse("SUBSCRIBE", "NOPERM no", { name: "local" });
      stage.broker.disconnectAll();
      await stage.hears("denied");
    },
    options: () => ({ denied: { retryMs: 1 } }),
  },
  "while its subscriber closes": {
    after: ({ stage, pubsub }) => {
      stage.broker.freeze();
      void pubsub.close();
    },
    end: "closed",
  },
  "when its subscriber is closed": { after: ({ pubsub }) => pubsub.close(), end: "closed" },
  "when its subscriber has failed": {
    after: async ({ stage }) => {
      stage.broker.disconnectAll();
      await stage.hears("closed");
    },
    options: () => ({ reconnect: false }),
    end: "failed",
  },
};

/** Streams of one name beside a main stream of another, led to a moment. */
async function lead(stage: Stage, redis: Client, gate: Gate, { before, after }: Moment, count: number) {
  const pubsub = redis.pubsub({ overflow: "block", maxQueuedMessages: 1 });
  before?.(stage);
  const subscribed = pubsub.subscribe("news").catch(() => {});
  const streams = Array.from({ length: count }, () => pubsub.stream({ channels: "local" }));
  if (before === undefined) {
    await subscribed;
    await pubsub.synced();
  }
  await after?.({ stage, pubsub, gate });
  return { pubsub, streams };
}

if (CANNOT_ABORT !== undefined) testUnless(CANNOT_ABORT, `${ABORT} of a local stream at any moment`, () => {});

for (const [moment, how] of Object.entries(MOMENTS)) {
  for (const [way, leave] of WAYS.filter(([way]) => way !== ABORT || CANNOT_ABORT === undefined)) {
    onStage(
      `${way} of a local stream ${moment} is done in time, again and again, and lets go of its name`,
      async (stage) => {
        for (const count of [1, 2]) {
          const gate = new Gate();
          stage.events.length = 0;
          const redis = stage.client({ closeTimeoutMs: CLOSE_MS, reconnect: AT_ONCE, ...how.options?.(stage, gate) });
          const { pubsub, streams } = await lead(stage, redis, gate, how, count);
          const leaves = streams.map((stream) => leave(stream));
          const began = performance.now();
          const end = how.end ?? "lives";
          if (end === "failed") assertInstanceOf(await leaves[0]!().catch((error) => error), ConnectionError);
          else await leaves[0]!();
          const tookMs = performance.now() - began;
          assert(tookMs < CLOSE_MS + SLACK_MS, `It took ${tookMs} ms`);
          if (end !== "failed") await Promise.all([leaves[0]!(), leaves[0]!()]);
          stage.broker.thaw();
          stage.broker.acceptConnections();
          stage.broker.allow("SUBSCRIBE");
          gate.open();
          const subscribers = () => ["news", "local"].map((name) => stage.broker.subscriberCount(name));
          if (end === "lives") {
            const rest = count - 1;
            const ours = () => pubsub.subscriptions().filter(({ name }) => name === "local").length;
            await until(
              "its name is let go of, or kept",
              SLACK_MS,
              () => `${subscribers()}, ${ours()}` === `1,${rest}, ${rest}`,
            );
            await leaves[1]?.();
            assertEquals(subscribers(), [1, 0]);
          }
          await redis.close();
          await until("everything is gone", SLACK_MS, () => subscribers().join() === "0,0");
        }
      },
    );
  }
}

test("cancel() of a local stream at any turn of a move is done when the move is, and lets go of its name", async () => {
  for (const protocol of [2, 3] as const) {
    for (const count of [1, 2]) {
      for (let turns = 0; turns < 40; turns++) {
        const stage = new MovingStage({ protocol, dawdle: () => 1 });
        const { pubsub, broker } = stage;
        if (protocol === 3) broker.refuse("AUTH", "NOPERM no");
        await pubsub.subscribe("n");
        const [first, second] = Array.from({ length: count }, () => pubsub.stream({ channels: "local" }));
        await pubsub.synced();
        await stage.clock.advance(79_999);
        const time = stage.clock.advance(1);
        await stage.rest(turns);
        const left = Promise.all([first!.cancel(), first!.cancel()]);
        broker.publish("n", "0");
        await stage.rest();
        await left;
        await time;
        const where = `RESP${protocol}, ${count} streams, turn ${turns}`;
        assertEquals([broker.subscriberCount("n"), broker.subscriberCount("local")], [1, count - 1], where);
        const leftToo = second?.cancel();
        await stage.rest(10);
        await leftToo;
        assertEquals([broker.subscriberCount("n"), broker.subscriberCount("local")], [1, 0], where);
        assertEquals(
          [stage.wires.length > 1, stage.open, stage.count("gap"), stage.numbers()],
          [true, 1, 0, [0]],
          where,
        );
        assertEquals(await stage.end(), { timers: 0, open: 0 });
      }
    }
  }
});
