/**
 * A program of its own that does all that a client can do, and closes it. Then nothing may keep it alive. It is given
 * the port of a server and the protocol, prints what the runtime says is still there, and ends when nothing is.
 */
import { Client, type ClientOptions, type PubSub } from "@earshot/redis";
import process from "node:process";
import { setImmediate } from "node:timers";

const [port, protocol] = process.argv.slice(2).map(Number);
const options = { port: port!, protocol: protocol as 2 | 3, reconnect: { initialDelayMs: 5 } };

/** What keeps a program alive; the pipes of its output are not ours. */
function resources(): string[] {
  return process.getActiveResourcesInfo().filter((name) => !/^(Pipe|TTY)/.test(name));
}

async function next(pubsub: PubSub, type: string): Promise<void> {
  for await (const event of pubsub.events()) if (event.type === type) return;
}

/** Subscribes in every way, loses the connection, and is left with messages that wait and calls that have deadlines. */
async function live(more: ClientOptions = {}): Promise<{ redis: Client; pubsub: PubSub }> {
  const redis = new Client({ ...options, ...more });
  const pubsub = await redis.subscribe("leftovers", { overflow: "block", maxQueuedMessages: 1 });
  await pubsub.psubscribe("left*", { timeoutMs: 60_000, signal: new AbortController().signal });
  const stream = pubsub.stream({ channels: ["leftovers", "more"] }).getReader();
  await pubsub.synced();
  const gap = next(pubsub, "gap");
  await redis.command(["CLIENT", "KILL", "TYPE", "pubsub"], { timeoutMs: 60_000 });
  await gap;
  await pubsub.synced({ timeoutMs: 60_000 });
  for (let i = 0; i < 10; i++) await redis.publish("leftovers", String(i));
  await stream.read();
  return { redis, pubsub };
}

const { redis } = await live();
await redis.close();
const { pubsub, redis: other } = await live();
await pubsub.drain({ timeoutMs: 20 }).catch(() => {});
await other.close();
// Nobody is there: it waits for its next attempt, a minute away.
const waiting = new Client({
  port: 1,
  waitOnFirstConnect: true,
  reconnect: { initialDelayMs: 60_000, maxDelayMs: 60_000 },
});
const failing = waiting.subscribe("never").catch(() => {});
await new Promise((resolve) => setTimeout(resolve, 50));
await waiting.close();
await failing;
await new Promise((resolve) => void setImmediate(resolve));
console.log(JSON.stringify(resources()));
