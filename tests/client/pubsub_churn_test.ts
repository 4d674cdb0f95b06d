import type { Message, PubSub } from "@earshot/redis";
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { all, turn } from "../support/turn.ts";
import { onStage, type Stage } from "./stage.ts";

const NAMES = ["a", "b", "c", "d", "e"];
const OPERATIONS = 1_000;

const name = fc.constantFrom(...NAMES);
const names = fc.uniqueArray(name, { minLength: 1, maxLength: 3 });
const kind = fc.constantFrom("channel", "pattern", "shard");

const operation = fc.oneof(
  { weight: 20, arbitrary: fc.record({ type: fc.constant("subscribe" as const), kind, names }) },
  { weight: 20, arbitrary: fc.record({ type: fc.constant("unsubscribe" as const), kind, names }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("unsubscribe all" as const), kind }) },
  { weight: 8, arbitrary: fc.record({ type: fc.constant("open" as const), kind, names }) },
  { weight: 8, arbitrary: fc.record({ type: fc.constant("cancel" as const), which: fc.nat() }) },
  { weight: 8, arbitrary: fc.record({ type: fc.constant("turn" as const) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("disconnect" as const) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("split" as const), bytes: fc.constantFrom(1, 7, Infinity) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("freeze" as const) }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("thaw" as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("revoke" as const), name }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("publish" as const), name }) },
);

type Kind = "channel" | "pattern" | "shard";

function subscribe(pubsub: PubSub, kind: string, names: string[]): Promise<void> {
  if (kind === "channel") return pubsub.subscribe(names);
  return kind === "pattern" ? pubsub.psubscribe(names) : pubsub.ssubscribe(names);
}

function unsubscribe(pubsub: PubSub, kind: string, names?: string[]): Promise<void> {
  if (kind === "channel") return pubsub.unsubscribe(names);
  return kind === "pattern" ? pubsub.punsubscribe(names) : pubsub.sunsubscribe(names);
}

/** Carries out the operations without waiting for any, and says who is to have which names in the end. */
async function churn(
  stage: Stage,
  pubsub: PubSub,
  operations: readonly (typeof operation extends fc.Arbitrary<infer O> ? O : never)[],
) {
  const main = new Set<string>(["channel anchor"]);
  const streams: { stream: ReadableStream<Message>; names: string[] }[] = [];
  const calls: Promise<unknown>[] = [];
  for (const operation of operations) {
    switch (operation.type) {
      case "subscribe":
        calls.push(subscribe(pubsub, operation.kind, operation.names));
        for (const name of operation.names) main.add(`${operation.kind} ${name}`);
        break;
      case "unsubscribe":
        calls.push(unsubscribe(pubsub, operation.kind, operation.names));
        for (const name of operation.names) main.delete(`${operation.kind} ${name}`);
        break;
      case "unsubscribe all":
        calls.push(unsubscribe(pubsub, operation.kind));
        for (const name of [...main]) if (name.startsWith(operation.kind)) main.delete(name);
        break;
      case "open": {
        const { kind, names } = operation;
        const key = { channel: "channels", pattern: "patterns", shard: "shardChannels" }[kind as Kind];
        streams.push({ stream: pubsub.stream({ [key]: names }), names: names.map((name) => `${kind} ${name}`) });
        break;
      }
      case "cancel": {
        const [stream] = streams.splice(operation.which % Math.max(1, streams.length), 1);
        if (stream !== undefined) calls.push(stream.stream.cancel());
        break;
      }
      case "turn":
        await turn();
        break;
      case "disconnect":
        stage.broker.disconnectAll();
        break;
      case "split":
        stage.broker.splitWrites(operation.bytes);
        break;
      case "freeze":
      case "thaw":
        stage.broker[operation.type]();
        break;
      case "revoke":
        stage.broker.revoke(operation.name);
        break;
      case "publish":
        stage.broker.publish(operation.name, "noise");
        stage.broker.spublish(operation.name, "noise");
    }
  }
  stage.broker.thaw();
  await Promise.all(calls);
  return { main, streams };
}

onStage(
  `${OPERATIONS} subscriptions and unsubscriptions at once converge, whatever happens to the wire`,
  async (stage) => {
    const operations = fc.array(operation, { minLength: OPERATIONS, maxLength: OPERATIONS, size: "max" });
    await fc.assert(
      fc.asyncProperty(operations, async (operations) => {
        const redis = stage.client();
        const pubsub = await redis.subscribe("anchor");
        const { main, streams } = await churn(stage, pubsub, operations);
        await pubsub.synced();
        stage.broker.splitWrites(Infinity);

        const wanted = new Set([...main, ...streams.flatMap(({ names }) => names)]);
        const states = pubsub.subscriptions().map(({ kind, name, state }) => `${kind} ${name} ${state}`);
        assertEquals(states.sort(), [...wanted].map((name) => `${name} subscribed`).sort());
        for (const name of NAMES) {
          assertEquals(stage.broker.subscriberCount(name), Number(wanted.has(`channel ${name}`)), name);
          assertEquals(stage.broker.shardSubscriberCount(name), Number(wanted.has(`shard ${name}`)), name);
        }
        const patterns = [...wanted].filter((name) => name.startsWith("pattern")).length;
        assertEquals(stage.broker.patternCount(), patterns);

        // Everybody hears of the own names, each once.
        for (const name of NAMES) {
          stage.broker.publish(name, "probe");
          stage.broker.spublish(name, "probe");
        }
        const heard = [pubsub.readable, ...streams.map(({ stream }) => stream)].map(all);
        await pubsub.drain();
        const probes = (await Promise.all(heard)).map((messages) => {
          return messages.filter(({ payload }) => payload === "probe").map(({ kind, channel }) => `${kind} ${channel}`)
            .sort();
        });
        main.delete("channel anchor");
        assertEquals(probes, [[...main].sort(), ...streams.map(({ names }) => names.sort())]);
        await redis.close();
        await turn();
        assertEquals(stage.broker.connectionCount, 0);
      }),
      { numRuns: 5, seed: 42, endOnFailure: true },
    );
  },
);
