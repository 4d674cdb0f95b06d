/**
 * `demo`: the main job with no server at hand. A subscriber and a publisher talk over real sockets, the subscriber's
 * connection is cut in the middle, and a person watching sees what happens.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { Client, type ClientEvent, type Message, RedisError } from "../../mod.ts";
import { TestBroker } from "../testing/mod.ts";
import { gapText } from "./sub.ts";
import type { Terminal } from "./terminal.ts";

const MESSAGES = 6;
/** The message that is published while nobody listens. */
const LOST = 4;
/** Between two steps, for the eye of a person. */
const PACE_MS = 300;
/** Nothing here takes long; what does has gone wrong. */
const PATIENCE_MS = 10_000;

/** Shows the story; gives the exit code. */
export async function demo(args: readonly string[], terminal: Terminal): Promise<number> {
  parseArgs({ args: [...args], options: {} });
  if (terminal.url !== undefined) return await tell(terminal.url, "the server of REDIS_URL", terminal);
  await using broker = new TestBroker();
  await using listener = await broker.listen({ port: 0 });
  return await tell(listener.url, "a broker of our own (set REDIS_URL to use a Redis)", terminal);
}

async function tell(url: string, server: string, terminal: Terminal): Promise<number> {
  const say = (who: string, what: string) => terminal.out(`${who.padEnd(11)} ${what}`);
  const pace = () => new Promise<void>((resolve) => setTimeout(resolve, terminal.watched ? PACE_MS : 0));
  const tag = crypto.randomUUID().slice(0, 8);
  const channel = `earshot:demo:${tag}`;
  const clientName = `earshot-demo-${tag}`;
  await using publisher = new Client(url);
  await using subscriber = new Client(url, { clientName });

  await say("server", server);
  await using pubsub = subscriber.pubsub({
    signal: AbortSignal.any([terminal.stop, AbortSignal.timeout(PATIENCE_MS)]),
  });
  const events = pubsub.events().getReader();
  const messages = pubsub.readable.getReader();
  await pubsub.subscribe(channel);
  const { endpoint } = await until(events, "ready");
  await say("subscriber", `SUBSCRIBE ${channel} at ${endpoint}: acknowledged`);

  let received = 0;
  for (let number = 1; number <= MESSAGES; number++) {
    await pace();
    if (number === LOST) await cut();
    else await publish(number);
  }
  await pace();
  await messages.cancel();
  await say("subscriber", "cancelled the stream: unsubscribed on the server, connection closed");
  const left = (await publisher.subscriberCount(channel)).get(channel);
  await say("server", `${left} subscribers left on the channel`);
  await say("done", `${received} of ${MESSAGES} messages received; the one that was lost was told as a gap`);
  return received === MESSAGES - 1 && left === 0 ? 0 : 1;

  async function publish(number: number): Promise<void> {
    const receivers = await publisher.publish(channel, `message ${number}`);
    await say("publisher", `PUBLISH "message ${number}": ${receivers} receiver`);
    const { value } = await messages.read();
    if (value === undefined) throw new RedisError("The demo was stopped");
    received++;
    await say("subscriber", `got "${value.payload}"${toldWith(value)}`);
  }

  /** Cuts the connection of the subscriber on the server, publishes before it is back, and waits until it is. */
  async function cut(): Promise<void> {
    const list = await publisher.command(["CLIENT", "LIST"]);
    const text = "value" in list && list.value instanceof Uint8Array ? new TextDecoder().decode(list.value) : "";
    const id = text.split("\n").find((line) => line.includes(` name=${clientName} `))?.match(/^id=(\d+)/)?.[1];
    if (id === undefined) throw new RedisError("Cannot find the subscriber in CLIENT LIST");
    const killed = publisher.command(["CLIENT", "KILL", "ID", id]);
    const receivers = await publisher.publish(channel, `message ${LOST}`);
    await killed;
    await say("fault", `the subscriber's connection is cut (CLIENT KILL ID ${id})`);
    await say("publisher", `PUBLISH "message ${LOST}": ${receivers} receivers, nobody hears it`);
    const lost = await until(events, "disconnected");
    await say("subscriber", lost.error.message);
    const { delayMs } = await until(events, "reconnecting");
    await say("subscriber", `connecting again in ${Math.round(delayMs)} ms`);
    await until(events, "ready");
    await say("subscriber", "connected again; every channel is acknowledged again");
    const { gap } = await until(events, "gap");
    await say("subscriber", `told at once: ${gapText(gap)}`);
  }
}

function toldWith({ gap }: Message): string {
  return gap === undefined ? "" : `, and with it: ${gapText(gap)}`;
}

type EventOf<T extends ClientEvent["type"]> = Extract<ClientEvent, { type: T }>;

async function until<T extends ClientEvent["type"]>(
  events: ReadableStreamDefaultReader<ClientEvent>,
  type: T,
): Promise<EventOf<T>> {
  for (;;) {
    const { value } = await events.read();
    if (value === undefined) throw new RedisError(`The demo was stopped before: ${type}`);
    if (value.type === type) return value as EventOf<T>;
  }
}
