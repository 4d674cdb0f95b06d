import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/errors.ts";
import type { Kind } from "../../src/message.ts";
import {
  Desired,
  type SubscriptionAction,
  type SubscriptionInput,
  Subscriptions,
  type SubscriptionState,
  TRANSITIONS,
} from "../../src/protocol/subscriptions.ts";
import { test } from "../support/test.ts";

const STATES: readonly SubscriptionState[] = ["absent", "subscribing", "subscribed", "unsubscribing", "denied"];
const INPUTS: readonly SubscriptionInput[] = [
  "confirmed",
  "removed",
  "revoked",
  "rejected",
  "retried",
  "disconnected",
];
const KINDS: readonly Kind[] = ["channel", "pattern", "shard"];

/** The whole machine, once more: a row is a state, a column an input in the order above, a dot is a broken protocol. */
const MACHINE: Readonly<Record<SubscriptionState, readonly string[]>> = {
  absent: [".", ".", ".", ".", "absent", "absent"],
  subscribing: ["subscribed", ".", ".", "denied", "subscribing", "absent"],
  subscribed: [".", ".", "absent", ".", "subscribed", "absent"],
  unsubscribing: [".", "absent", "unsubscribing", ".", "unsubscribing", "absent"],
  denied: [".", ".", ".", ".", "absent", "absent"],
};

/** A name brought into a state as it would get there. */
function inState(kind: Kind, state: SubscriptionState): { desired: Desired; subscriptions: Subscriptions } {
  const desired = new Desired();
  const subscriptions = new Subscriptions(desired);
  if (state !== "absent") {
    desired.add(kind, "a");
    assertEquals(subscriptions.reconcile(kind, "a"), "subscribe");
  }
  if (state === "denied") subscriptions.input(kind, "a", "rejected");
  if (state === "subscribed" || state === "unsubscribing") subscriptions.input(kind, "a", "confirmed");
  if (state === "unsubscribing") {
    desired.delete(kind, "a");
    assertEquals(subscriptions.reconcile(kind, "a"), "unsubscribe");
  }
  assertEquals(subscriptions.state(kind, "a"), state);
  return { desired, subscriptions };
}

test("the table knows these states and inputs, and no others", () => {
  assertEquals(Object.keys(TRANSITIONS).sort(), [...STATES].sort());
  for (const row of Object.values(TRANSITIONS)) {
    for (const input of Object.keys(row)) assert((INPUTS as readonly string[]).includes(input));
  }
});

for (const kind of KINDS) {
  for (const state of STATES) {
    for (const [column, input] of INPUTS.entries()) {
      // A server may take away shard channels only.
      const next = input === "revoked" && kind !== "shard" ? "." : MACHINE[state][column]!;
      if (next === ".") {
        test(`a ${kind} that is ${state} cannot be ${input}, and stays as it is`, () => {
          const { subscriptions } = inState(kind, state);
          const says = `does not fit ${kind} "a": ${input} while ${state}`;
          assertThrows(() => subscriptions.input(kind, "a", input), ProtocolError, says);
          assertEquals(subscriptions.state(kind, "a"), state);
        });
      } else {
        test(`a ${kind} that is ${state} and is ${input} becomes ${next}`, () => {
          const { subscriptions } = inState(kind, state);
          subscriptions.input(kind, "a", input);
          assertEquals(subscriptions.state(kind, "a"), next);
          assertEquals(subscriptions.unsettled, next === "subscribing" || next === "unsubscribing" ? 1 : 0);
          assertEquals([...subscriptions.states(kind)], next === "absent" ? [] : [["a", next]]);
        });
      }
    }
  }
}

const RECONCILE: readonly (readonly [SubscriptionState, wanted: boolean, SubscriptionAction, SubscriptionState])[] = [
  ["absent", true, "subscribe", "subscribing"],
  ["absent", false, "none", "absent"],
  ["subscribing", true, "none", "subscribing"],
  ["subscribing", false, "none", "subscribing"],
  ["subscribed", true, "none", "subscribed"],
  ["subscribed", false, "unsubscribe", "unsubscribing"],
  ["unsubscribing", true, "none", "unsubscribing"],
  ["unsubscribing", false, "none", "unsubscribing"],
  ["denied", true, "none", "denied"],
  ["denied", false, "none", "absent"],
];

for (const [state, wanted, action, next] of RECONCILE) {
  test(`${wanted ? "wanted" : "unwanted"} and ${state}: ${action}`, () => {
    for (const kind of KINDS) {
      const { desired, subscriptions } = inState(kind, state);
      if (wanted) desired.add(kind, "a");
      else desired.delete(kind, "a");
      assertEquals(subscriptions.reconcile(kind, "a"), action);
      assertEquals(subscriptions.state(kind, "a"), next);
      // What was sent is not sent twice.
      assertEquals(subscriptions.reconcile(kind, "a"), "none");
      assertEquals(subscriptions.unsettled, next === "subscribing" || next === "unsubscribing" ? 1 : 0);
    }
  });
}

test("a revocation that crosses our own unsubscription leaves one acknowledgement due", () => {
  const { desired, subscriptions } = inState("shard", "unsubscribing");
  subscriptions.input("shard", "a", "revoked");
  desired.add("shard", "a");
  assertEquals(subscriptions.reconcile("shard", "a"), "none");
  subscriptions.input("shard", "a", "removed");
  assertEquals(subscriptions.reconcile("shard", "a"), "subscribe");
});

test("a name that was dropped while it was subscribing is unsubscribed once it is confirmed", () => {
  const { desired, subscriptions } = inState("channel", "subscribing");
  desired.delete("channel", "a");
  assertEquals(subscriptions.reconcile("channel", "a"), "none");
  subscriptions.input("channel", "a", "confirmed");
  assertEquals(subscriptions.reconcile("channel", "a"), "unsubscribe");
});

test("a denied name is asked for again only when somebody retries", () => {
  const { subscriptions } = inState("channel", "denied");
  assertEquals(subscriptions.reconcile("channel", "a"), "none");
  subscriptions.input("channel", "a", "retried");
  assertEquals(subscriptions.reconcile("channel", "a"), "subscribe");
});

test("the same name of two kinds is two subscriptions", () => {
  const { desired, subscriptions } = inState("channel", "subscribed");
  desired.add("pattern", "a");
  assertEquals(subscriptions.state("pattern", "a"), "absent");
  assertEquals(subscriptions.reconcile("pattern", "a"), "subscribe");
  assertEquals([subscriptions.state("channel", "a"), subscriptions.unsettled], ["subscribed", 1]);
});

test("a set of wanted names tells what changed, and keeps the order in which they came", () => {
  const desired = new Desired();
  assertEquals(["b", "a", "b"].map((name) => desired.add("channel", name)), [true, true, false]);
  assertEquals([desired.add("shard", "a"), desired.size], [true, 3]);
  assertEquals([[...desired.names("channel")], [...desired.names("pattern")]], [["b", "a"], []]);
  assertEquals([desired.has("channel", "a"), desired.has("pattern", "a")], [true, false]);
  assertEquals([desired.delete("channel", "b"), desired.delete("channel", "b"), desired.size], [true, false, 2]);
  desired.clear();
  assertEquals([desired.size, desired.has("shard", "a")], [0, false]);
});
