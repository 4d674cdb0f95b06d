import { assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { Hub } from "../../src/client/hub.ts";
import { Delivery } from "../../src/delivery/delivery.ts";
import { resolveStreamOptions, type StreamOptions } from "../../src/delivery/options.ts";
import { bytes, type Codec, json, text } from "../../src/codec.ts";
import type { KindedName } from "../../src/supervisor/calls.ts";
import { DecodeError } from "../../src/errors.ts";
import { privateChannel } from "../../src/name.ts";
import { KIND_NAMES } from "../../src/protocol/kind.ts";
import { Desired, Subscriptions } from "../../src/protocol/subscriptions.ts";
import { add } from "../support/hub.ts";
import { KnownTopics, message, runOf } from "../support/run.ts";
import { test } from "../support/test.ts";
import { EPOCH, FakeOwner } from "../delivery/fake_owner.ts";

/** The names that a stream has, of all kinds. */
function namesOf<T>(hub: Hub, delivery: Delivery<T>): KindedName[] {
  return KIND_NAMES.flatMap((kind) => hub.names(delivery as Delivery, kind));
}

/** A hub, what it asked of the connection, and a connection that tells it of a message. */
function newHub() {
  const asked: string[] = [];
  const desired = new Desired();
  const hub = new Hub({
    desired,
    want: (kind, names) => void asked.push(...names.map(({ name }) => `want ${kind} ${name}`)),
    drop: (kind, name) => void asked.push(`drop ${kind} ${name}`),
  });
  const topics = new KnownTopics();
  const tell = (channel: string, payload: string, pattern?: string) => {
    hub.deliver(runOf([message(channel, payload, pattern)], topics));
  };
  return { hub, desired, asked, tell };
}

function newStream<T>(codec: Codec<T>, options: StreamOptions<T> = {}, owner = new FakeOwner()): Delivery<T> {
  return new Delivery(resolveStreamOptions({ ...options, codec }), owner);
}

function payloads<T>(delivery: Delivery<T>): T[] {
  const taken: T[] = [];
  for (let message; (message = delivery.take()) !== undefined;) taken.push(message.payload);
  return taken;
}

const NEWS: KindedName = { kind: "channel", name: "news" };

test("Every stream that wants a name asks the connection for it, the last that lets go drops it", () => {
  const { hub, asked } = newHub();
  const WANTED = Array.from({ length: 3 }, () => "want channel news");
  const [a, b, c] = [newStream(text), newStream(text), newStream(text)];
  assertEquals([add(hub, a, NEWS), add(hub, b, NEWS), add(hub, c, NEWS)], [true, true, true]);
  assertEquals(asked, WANTED);
  hub.remove(a, NEWS);
  hub.remove(c, NEWS);
  assertEquals(asked, WANTED);
  hub.remove(b, NEWS);
  assertEquals(asked, [...WANTED, "drop channel news"]);
  add(hub, a, NEWS);
  assertEquals(asked.at(-1), "want channel news");
});

test("A stream counts once, however often it asks for a name, and lets go of it once", () => {
  const { hub, asked } = newHub();
  const [a, b] = [newStream(text), newStream(text)];
  assertEquals([add(hub, a, NEWS), add(hub, a, NEWS), add(hub, b, NEWS), add(hub, b, NEWS)], [
    true,
    false,
    true,
    false,
  ]);
  // Asked anew each time: a name that was refused is tried again.
  assertEquals(asked.splice(0), Array.from({ length: 4 }, () => "want channel news"));
  hub.remove(a, NEWS);
  hub.remove(a, NEWS);
  assertEquals(asked, []);
  hub.remove(b, NEWS);
  hub.remove(b, NEWS);
  assertEquals(asked, ["drop channel news"]);
});

test("The same name of two kinds is two names", () => {
  const { hub, asked } = newHub();
  const stream = newStream(text);
  for (const kind of KIND_NAMES) add(hub, stream, { kind, name: "n" });
  assertEquals(asked, ["want channel n", "want pattern n", "want shard n"]);
  hub.remove(stream, { kind: "pattern", name: "n" });
  assertEquals(asked.at(-1), "drop pattern n");
  assertEquals(namesOf(hub, stream), [{ kind: "channel", name: "n" }, { kind: "shard", name: "n" }]);
  assertEquals(hub.names(stream, "shard"), [{ kind: "shard", name: "n" }]);
});

test("A name that is shared is listed for each of its streams", () => {
  const { hub } = newHub();
  const [a, b, c] = [newStream(text), newStream(text), newStream(text)];
  add(hub, a, NEWS);
  add(hub, b, NEWS);
  assertEquals([namesOf(hub, a), namesOf(hub, b), namesOf(hub, c)], [[NEWS], [NEWS], []]);
});

test("clear() forgets everybody, and drops nothing", () => {
  const { hub, asked } = newHub();
  const stream = newStream(text);
  add(hub, stream, NEWS);
  hub.clear();
  assertEquals([namesOf(hub, stream), asked], [[], ["want channel news"]]);
});

test("A message reaches every stream that wants its name, in order, and no other", () => {
  const { hub, tell } = newHub();
  const [a, b, other] = [newStream(text), newStream(text), newStream(text)];
  add(hub, a, NEWS);
  add(hub, b, NEWS);
  add(hub, other, { kind: "pattern", name: "news" });
  add(hub, other, { kind: "pattern", name: "n*" });
  for (const payload of ["1", "2", "3"]) tell("news", payload);
  tell("news", "by pattern", "n*");
  tell("nobody", "4");
  assertEquals([payloads(a), payloads(b), payloads(other)], [["1", "2", "3"], ["1", "2", "3"], ["by pattern"]]);
});

test("A message says how it was subscribed to; streams with the same codec share the object", () => {
  const { hub, tell } = newHub();
  const [a, b] = [newStream(text), newStream(text)];
  add(hub, a, { kind: "pattern", name: "n*" });
  add(hub, b, { kind: "pattern", name: "n*" });
  tell("news", "hello", "n*");
  const message = a.take();
  assertEquals(message, { kind: "pattern", channel: "news", pattern: "n*", payload: "hello", gap: undefined });
  assertStrictEquals(b.take(), message);
});

test("A queue counts the bytes of the payload, not what the codec makes of it", () => {
  const { hub, tell } = newHub();
  const stream = newStream(json);
  add(hub, stream, NEWS);
  tell("news", '{"a":1}');
  assertEquals(stream.counts().queuedBytes, 7);
});

for (const [name, order] of [["side by side", [0, 1]], ["in turn", [0, 1, 0, 1]]] as const) {
  test(`A payload is decoded once for each codec, however many streams have it, the codecs ${name}`, () => {
    const { hub, tell } = newHub();
    const counts = [0, 0];
    const codecs = counts.map((_, i): Codec<string> => ({
      decode: (payload) => {
        counts[i]!++;
        return `${i}:${text.decode(payload)}`;
      },
    }));
    const streams = order.flatMap((codec) => {
      return Array.from({ length: 100 / order.length }, () => ({ codec, stream: newStream(codecs[codec]!) }));
    });
    assertEquals(streams.length, 100);
    for (const { stream } of streams) add(hub, stream, NEWS);
    tell("news", "hello");
    assertEquals(counts, [1, 1]);
    for (const { codec, stream } of streams) assertEquals(payloads(stream), [`${codec}:hello`]);
  });
}

test("A payload that one codec rejects reaches the streams that have another", () => {
  const { hub, tell } = newHub();
  const owner = new FakeOwner();
  const strict = newStream(json, {}, owner);
  const lenient = newStream(json, { onDecodeError: "skip" }, owner);
  const plain = newStream(bytes);
  for (const stream of [strict, lenient, plain]) add(hub, stream as Delivery, NEWS);
  tell("news", "not JSON");
  assertEquals(strict.state, "failed");
  const error = strict.error;
  assertInstanceOf(error, DecodeError);
  assertEquals([error.channel, error.message], ["news", 'Cannot decode a message on "news"']);
  assertEquals((error.cause as Error).message, "The payload is not JSON");
  assertEquals([lenient.state, lenient.counts().skipped, owner.errors], ["open", 1, [error]]);
  assertEquals(payloads(plain), [new TextEncoder().encode("not JSON")]);
});

test("A codec that gives undefined is a codec like any other", () => {
  const { hub, tell } = newHub();
  const decoded: number[] = [];
  const codec: Codec<undefined> = { decode: (payload) => void decoded.push(payload.length) as undefined };
  const [a, b] = [newStream(codec), newStream(codec)];
  add(hub, a as Delivery, NEWS);
  add(hub, b as Delivery, NEWS);
  tell("news", "xyz");
  assertEquals([payloads(a), payloads(b), decoded], [[undefined], [undefined], [3]]);
});

test("A stream that goes while a message is on its way keeps it from nobody", () => {
  const { hub, asked, tell } = newHub();
  const owner = new FakeOwner();
  owner.gone = (delivery) => {
    hub.remove(delivery, NEWS);
    return Promise.resolve();
  };
  const doomed = newStream(json, {}, owner);
  const before = newStream(text);
  const after = newStream(text);
  for (const stream of [before, doomed, after]) add(hub, stream as Delivery, NEWS);
  tell("news", "not JSON");
  tell("news", "2");
  assertEquals([payloads(before), payloads(after)], [["not JSON", "2"], ["not JSON", "2"]]);
  assertEquals([namesOf(hub, doomed), doomed.state, asked.includes("drop channel news")], [
    [],
    "failed",
    false,
  ]);
});

test("A stream that comes while a message is on its way gets the next one", () => {
  const { hub, tell } = newHub();
  const late = newStream(text);
  const codec: Codec<string> = {
    decode: (payload) => {
      add(hub, late, NEWS);
      return text.decode(payload);
    },
  };
  const early = newStream(codec);
  for (const stream of [early, newStream(codec)]) add(hub, stream, NEWS);
  tell("news", "1");
  tell("news", "2");
  assertEquals([payloads(early), payloads(late)], [["1", "2"], ["2"]]);
});

test("A lost connection concerns the streams with a name that it had confirmed, and no other", () => {
  const { hub, desired, tell } = newHub();
  const owner = new FakeOwner();
  const confirmed = new Subscriptions(desired);
  const streams = new Map(["subscribed", "subscribing", "denied", "never asked", "unsubscribing"].map((name) => {
    const stream = newStream(text, {}, owner);
    add(hub, stream, { kind: "channel", name });
    desired.add("channel", name);
    if (name !== "never asked") confirmed.reconcile("channel", name);
    if (name === "subscribed" || name === "unsubscribing") confirmed.input("channel", name, "confirmed");
    if (name === "denied") confirmed.input("channel", name, "rejected");
    return [name, stream];
  }));
  desired.delete("channel", "unsubscribing");
  confirmed.reconcile("channel", "unsubscribing");
  assertEquals(hub.lost(4_000, confirmed, "reconnect", Infinity), true);
  const gaps: string[] = [];
  for (const [name, stream] of streams) {
    stream.recovered(owner.clock.now());
    tell(name, "x");
    const gap = stream.take()?.gap;
    if (gap !== undefined) gaps.push(`${name} since ${gap.since.getTime() - EPOCH}`);
  }
  assertEquals(gaps, ["subscribed since 4000"]);
});

test("A lost connection that had confirmed nothing concerns nobody", () => {
  const { hub } = newHub();
  add(hub, newStream(text), NEWS);
  assertEquals(hub.lost(0, new Subscriptions(new Desired()), "reconnect", Infinity), false);
});

test("A fence is heard of in its place, by its own name only; nothing private comes to a stream, or counts", () => {
  const { hub, tell } = newHub();
  const stream = newStream(text);
  const fence = privateChannel("1");
  add(hub, stream, { kind: "pattern", name: "*" });
  add(hub, stream, NEWS);
  const order: string[] = [];
  tell(fence, "early");
  hub.listen(fence, () => order.push(`fence behind ${payloads(stream)}`));
  tell("news", "1");
  tell(fence, "by a pattern", "*");
  tell(privateChannel("2"), "of somebody else", "*");
  tell("news", "2", "*");
  assertEquals(order, []);
  tell(fence, "");
  tell("news", "3");
  hub.listen(fence);
  tell(fence, "late");
  assertEquals([order, payloads(stream), hub.privately], [["fence behind 1,2"], ["3"], 5]);
});
