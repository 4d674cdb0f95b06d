import { assertEquals, assertStrictEquals } from "@std/assert";
import {
  acknowledgement,
  isSubscribed,
  type Push,
  Registry,
  type Subscriber,
  subscriptionCount,
} from "../../src/broker/registry.ts";
import { test } from "../support/test.ts";
import { show } from "./peer.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

class Listener implements Subscriber {
  readonly names = { channel: new Set<string>(), pattern: new Set<string>(), shard: new Set<string>() };
  readonly sent: Uint8Array[] = [];
  constructor(readonly protocol: 2 | 3) {}
  send(bytes: Uint8Array): void {
    this.sent.push(bytes);
  }
}

test("Channels and patterns share a count, shard channels have their own", () => {
  const registry = new Registry();
  const listener = new Listener(3);
  assertEquals(isSubscribed(listener), false);
  registry.add("channel", bytes("a"), listener);
  registry.add("channel", bytes("a"), listener);
  registry.add("pattern", bytes("a*"), listener);
  registry.add("shard", bytes("a"), listener);
  assertEquals(subscriptionCount(listener, "channel"), 2);
  assertEquals(subscriptionCount(listener, "pattern"), 2);
  assertEquals(subscriptionCount(listener, "shard"), 1);
  registry.remove("channel", "b", listener);
  registry.remove("channel", "a", listener);
  assertEquals(subscriptionCount(listener, "pattern"), 1);
  assertEquals(isSubscribed(listener), true);
  registry.removeAll(listener);
  assertEquals(isSubscribed(listener), false);
});

test("A name that nobody is subscribed to any more leaves no trace", () => {
  const registry = new Registry();
  const [one, two] = [new Listener(2), new Listener(3)];
  for (const listener of [one, two]) registry.add("channel", bytes("a"), listener);
  registry.removeAll(one);
  assertEquals([registry.size("channel"), registry.subscribers("channel", "a").size], [1, 1]);
  registry.removeAll(two);
  assertEquals([registry.size("channel"), registry.subscribers("channel", "a").size], [0, 0]);
  assertEquals(registry.names("channel"), []);
});

test("Names that are not UTF-8 are kept apart, byte for byte", () => {
  const registry = new Registry();
  const listener = new Listener(3);
  const names = [Uint8Array.of(0xff), Uint8Array.of(0xfe), Uint8Array.of(0xed, 0xb3, 0xbf), bytes("\ufffd")];
  for (const name of names) registry.add("channel", name, listener);
  assertEquals(registry.names("channel"), names);
  for (const name of names) assertEquals(registry.deliveries("channel", name, bytes("x")).length, 1);
});

test("A message is due once per subscription, first those of the name, and never from one kind to another", () => {
  const registry = new Registry();
  const listener = new Listener(3);
  registry.add("pattern", bytes("n*"), listener);
  registry.add("pattern", bytes("*s"), listener);
  registry.add("channel", bytes("news"), listener);
  registry.add("shard", bytes("news"), listener);
  for (const { push, to } of registry.deliveries("channel", bytes("news"), bytes("x"))) push.sendTo(to);
  assertEquals(listener.sent.splice(0).map(show), [
    ">3↵$7↵message↵$4↵news↵$1↵x↵",
    ">4↵$8↵pmessage↵$2↵n*↵$4↵news↵$1↵x↵",
    ">4↵$8↵pmessage↵$2↵*s↵$4↵news↵$1↵x↵",
  ]);
  for (const { push, to } of registry.deliveries("shard", bytes("news"), bytes("x"))) push.sendTo(to);
  assertEquals(listener.sent.map(show), [">3↵$8↵smessage↵$4↵news↵$1↵x↵"]);
});

test("A push is encoded once per dialect, however many get it", () => {
  const push = acknowledgement("subscribe", bytes("a"), 1);
  const listeners = [new Listener(2), new Listener(3), new Listener(2), new Listener(3)];
  for (const listener of listeners) push.sendTo(listener);
  const [one, two, three, four] = listeners.map((listener) => listener.sent[0]);
  assertStrictEquals(three, one);
  assertStrictEquals(four, two);
  assertEquals(show(one!), "*3↵$9↵subscribe↵$1↵a↵:1↵");
  assertEquals(show(two!), ">3↵$9↵subscribe↵$1↵a↵:1↵");
});

test("An acknowledgement without a name has the null of its dialect", () => {
  const [two, three] = [new Listener(2), new Listener(3)];
  const push: Push = acknowledgement("unsubscribe", undefined, 0);
  push.sendTo(two);
  push.sendTo(three);
  assertEquals(show(two.sent[0]!), "*3↵$11↵unsubscribe↵$-1↵:0↵");
  assertEquals(show(three.sent[0]!), ">3↵$11↵unsubscribe↵_↵:0↵");
});
