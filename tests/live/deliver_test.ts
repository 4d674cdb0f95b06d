import { bytes, type Client, type Codec, json, type Kind, type Message, type Name, type PubSub } from "@earshot/redis";
import { assertEquals } from "@std/assert";
import { commonGround, fresh } from "../support/ground.ts";
import { RawConnection } from "../support/raw_connection.ts";

const each = await commonGround();

const EVERY_BYTE = Uint8Array.from({ length: 256 }, (_, byte) => byte);
/** As a name is shown: ASCII as it is, every other byte here as a lone surrogate, since none of them is UTF-8. */
const EVERY_BYTE_SHOWN = String.fromCharCode(
  ...Array.from(EVERY_BYTE, (byte) => byte < 128 ? byte : 0xdc00 + byte),
);
/** A pattern that matches just that name: in a glob these four bytes need a backslash. */
const EVERY_BYTE_PATTERN = EVERY_BYTE_SHOWN.replace(/[*?[\\]/g, "\\$&");

interface Way {
  readonly kind: Kind;
  readonly subscribe: <T>(client: Client, names: Name | Name[], codec?: Codec<T>) => Promise<PubSub<T>>;
  readonly publish: (client: Client, name: Name, payload: string | Uint8Array) => Promise<number>;
  /** What to subscribe to, to hear what is published to `name`. */
  readonly nameFor: (name: string) => string;
}

function withCodec<T>(codec: Codec<T> | undefined): { codec?: Codec<T> } {
  return codec === undefined ? {} : { codec };
}

const WAYS: readonly Way[] = [
  {
    kind: "channel",
    subscribe: (client, names, codec) => client.subscribe(names, withCodec(codec)),
    publish: (client, name, payload) => client.publish(name, payload),
    nameFor: (name) => name,
  },
  {
    kind: "pattern",
    subscribe: (client, names, codec) => client.psubscribe(names, withCodec(codec)),
    publish: (client, name, payload) => client.publish(name, payload),
    nameFor: (name) => `${name.slice(0, -1)}?`,
  },
  {
    kind: "shard",
    subscribe: (client, names, codec) => client.ssubscribe(names, withCodec(codec)),
    publish: (client, name, payload) => client.spublish(name, payload),
    nameFor: (name) => name,
  },
];

each("A client comes to the protocol that the server has", async ({ client, dialect, events, server }) => {
  const subscriber = client();
  await using asked = await RawConnection.open(server.port);
  const hello = await asked.ask("HELLO", 3).then(() => 3, () => 2);

  await subscriber.subscribe(fresh("news"));

  const protocols = events.flatMap((event) => event.type === "connected" ? [event.protocol] : []);
  assertEquals(protocols, [dialect.protocol ?? hello]);
  if (dialect.options.username !== undefined) {
    const whoami = await subscriber.command(["ACL", "WHOAMI"]);
    assertEquals(whoami.type === "bulk-string" && new TextDecoder().decode(whoami.value), dialect.options.username);
  }
});

for (const { kind, subscribe, publish, nameFor } of WAYS) {
  each(`What one client publishes another receives on a ${kind} as text, bytes and json`, async ({ client }) => {
    const [publisher, subscriber] = [client(), client()];
    const channel = fresh("news");
    const pattern = kind === "pattern" ? nameFor(channel) : undefined;
    const asText = await subscribe<string>(subscriber, nameFor(channel));
    const asBytes = await subscribe(subscriber, nameFor(channel), bytes);
    const asJson = await subscribe<unknown>(subscriber, nameFor(channel), json);
    const payload = JSON.stringify({ text: "grüße 🌍", list: [1, null, true] });

    assertEquals(await publish(publisher, channel, payload), 3);

    const about = { kind, channel, pattern, gap: undefined };
    assertEquals(await first(asText), { ...about, payload });
    assertEquals(await first(asBytes), { ...about, payload: new TextEncoder().encode(payload) });
    assertEquals(await first(asJson), { ...about, payload: { text: "grüße 🌍", list: [1, null, true] } });
  });

  each(`Every byte survives in payloads and names of a ${kind}`, async ({ client }) => {
    const [publisher, subscriber] = [client(), client()];
    const name = kind === "pattern" ? EVERY_BYTE_PATTERN : EVERY_BYTE;
    const news = await subscribe(subscriber, name, bytes);

    assertEquals(await publish(publisher, EVERY_BYTE, EVERY_BYTE), 1);
    assertEquals(await publish(publisher, EVERY_BYTE_SHOWN, "by the name as it is shown"), 1);
    assertEquals(await publish(publisher, EVERY_BYTE.slice(0, 255), "another name"), 0);

    const [one, two] = await take(news, 2);
    assertEquals(one, {
      kind,
      channel: EVERY_BYTE_SHOWN,
      pattern: kind === "pattern" ? EVERY_BYTE_PATTERN : undefined,
      payload: EVERY_BYTE,
      gap: undefined,
    });
    assertEquals(two?.channel, EVERY_BYTE_SHOWN);
  });

  each(`An empty payload and one of 8 MiB arrive whole on a ${kind}`, async ({ client }) => {
    const [publisher, subscriber] = [client(), client()];
    const channel = fresh("sizes");
    const news = await subscribe(subscriber, nameFor(channel), bytes);
    const large = new Uint8Array(8 * 1024 * 1024).map((_, index) => (index * 7 + (index >> 8)) & 255);

    await Promise.all([publish(publisher, channel, ""), publish(publisher, channel, large)]);

    const [empty, whole] = await take(news, 2);
    assertEquals(empty?.payload, new Uint8Array());
    assertEquals(whole?.payload.length, large.length);
    assertEquals(whole?.payload.findIndex((byte, index) => byte !== large[index]), -1);
  });

  each(`A thousand messages arrive in order on a ${kind}`, async ({ client }) => {
    const [publisher, subscriber] = [client(), client()];
    const channel = fresh("order");
    const numbers = Array.from({ length: 1_000 }, (_, index) => String(index));
    const looped = await subscribe<string>(subscriber, nameFor(channel));
    const read = await subscribe<string>(subscriber, nameFor(channel));
    const batched = await subscribe<string>(subscriber, nameFor(channel));

    const counts = await Promise.all(numbers.map((number) => publish(publisher, channel, number)));

    assertEquals(new Set(counts), new Set([3]));
    assertEquals((await take(looped, 1_000)).map(({ payload }) => payload), numbers);
    const reader = read.readable.getReader();
    for (const number of numbers) assertEquals((await reader.read()).value?.payload, number);
    await reader.cancel();
    const batchedNumbers: string[] = [];
    for await (const batch of batched.batches({ maxBatch: 300 })) {
      batchedNumbers.push(...batch.map(({ payload }) => payload));
      if (batchedNumbers.length >= 1_000) break;
    }
    assertEquals(batchedNumbers, numbers);
  });
}

each(
  "One handle hears channels, patterns and shard channels, and a channel twice that a pattern matches",
  async ({ client }) => {
    const [publisher, subscriber] = [client(), client()];
    const [channel, shard] = [fresh("channel"), fresh("shard")];
    const news = subscriber.pubsub();
    await Promise.all([news.subscribe(channel), news.psubscribe(`${channel}*`), news.ssubscribe(shard)]);

    await publisher.publish(channel, "both");
    await publisher.spublish(shard, "shard");

    const heard = (await take(news, 3)).map(({ kind, payload }) => `${kind} ${payload}`);
    assertEquals(heard, ["channel both", "pattern both", "shard shard"]);
  },
);

async function first<T>(news: PubSub<T>): Promise<Message<T> | undefined> {
  return (await take(news, 1))[0];
}

async function take<T>(news: PubSub<T>, count: number): Promise<Message<T>[]> {
  const messages: Message<T>[] = [];
  for await (const message of news) {
    messages.push(message);
    if (messages.length >= count) break;
  }
  return messages;
}
