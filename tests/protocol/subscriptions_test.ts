import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
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
          const places = [...subscriptions.places(kind)].map(({ name, state }) => [name, state]);
          assertEquals(places, next === "absent" ? [] : [["a", next]]);
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

test("its size counts every name that is not absent, of all kinds", () => {
  for (const state of STATES) {
    for (const kind of KINDS) assertEquals(inState(kind, state).subscriptions.size, state === "absent" ? 0 : 1, state);
  }
  const { desired, subscriptions } = inState("channel", "subscribed");
  for (const kind of KINDS) {
    desired.add(kind, "b");
    subscriptions.reconcile(kind, "b");
  }
  assertEquals(subscriptions.size, 4);
  subscriptions.input("shard", "b", "confirmed");
  assertEquals(subscriptions.size, 4);
  subscriptions.input("shard", "b", "revoked");
  assertEquals(subscriptions.size, 3);
});

test("a set of wanted names tells what changed, and keeps the order in which they came", () => {
  const desired = new Desired();
  assertEquals(["b", "a", "b"].map((name) => desired.add("channel", name)), [true, true, false]);
  assertEquals([desired.add("shard", "a"), desired.wanted("shard").map(({ name }) => name)], [true, ["a"]]);
  assertEquals([desired.wanted("channel").map(({ name }) => name), desired.wanted("pattern").map(({ name }) => name)], [
    ["b", "a"],
    [],
  ]);
  assertEquals([desired.has("channel", "a"), desired.has("pattern", "a")], [true, false]);
  assertEquals([desired.delete("channel", "b"), desired.delete("channel", "b")], [true, false]);
  assertEquals([desired.wanted("channel").map(({ name }) => name), desired.wanted("shard").map(({ name }) => name)], [[
    "a",
  ], ["a"]]);
  desired.clear();
  assertEquals(KINDS.map((kind) => desired.wanted(kind).length), [0, 0, 0]);
  assertEquals([desired.has("channel", "a"), desired.has("shard", "a")], [false, false]);
});

test("a name stands by itself on each of two connections, and is kept until both are over and nobody wants it", () => {
  for (const first of [0, 1]) {
    const desired = new Desired();
    const sides = [new Subscriptions(desired), new Subscriptions(desired)];
    desired.add("channel", "a");
    for (const side of sides) side.reconcile("channel", "a");
    sides[1]!.input("channel", "a", "confirmed");
    const states = () => sides.map((side) => side.state("channel", "a"));
    assertEquals(states(), ["subscribing", "subscribed"]);
    desired.delete("channel", "a");
    sides[first]!.end();
    assertEquals(states(), first === 0 ? ["absent", "subscribed"] : ["subscribing", "absent"]);
    assertEquals(sides.map(({ size }) => size), first === 0 ? [0, 1] : [1, 0]);
    assertEquals(sides.map((side) => [...side.places("channel")].length), sides.map(({ size }) => size));
    assertEquals([...desired.entries("channel")].length, 1);
    sides[1 - first]!.end();
    assertEquals([states(), sides.map(({ unsettled }) => unsettled)], [["absent", "absent"], [0, 0]]);
    assertEquals([...desired.entries("channel")], []);
  }
});

test("of names in a row those from one to another are entered, and the list stays as it is", () => {
  const desired = new Desired();
  const names = ["a", "b", "c", "b", "d"];
  assertEquals(desired.enter("channel", names, 1, 4).map(({ name, wish }) => [name, wish]), [
    ["b", "wanted"],
    ["c", "wanted"],
    ["b", "wanted"],
  ]);
  assertEquals([names, desired.enter("channel", names, 4, 9).length], [["a", "b", "c", "b", "d"], 1]);
  assertEquals([...desired.entries("channel")].map(({ name }) => name), ["b", "c", "d"]);
});

test("what the second of two connections has is not asked for again when the first is over", () => {
  const desired = new Desired();
  const [entry] = desired.enter("channel", ["a"]);
  const [first, second] = [new Subscriptions(desired), new Subscriptions(desired)];
  assertEquals([first.request([entry!]).length, second.request([entry!]).length], [1, 1]);
  first.end();
  assertEquals(second.request([entry!]), []);
  assertEquals([second.state("channel", "a"), second.size, desired.others.size], ["subscribing", 1, 1]);
  second.end();
  assertEquals(desired.others.size, 0);
});

test("an entry is kept while anything is: a wish, a place, a call, or a holder", () => {
  const keeps: readonly ((desired: Desired) => () => void)[] = [
    (desired) => {
      const entry = desired.entry("channel", "a");
      entry.waiting = new Set();
      return () => entry.waiting = undefined;
    },
    (desired) => {
      const entry = desired.entry("channel", "a");
      entry.holder = { receive: () => {} };
      return () => entry.holder = undefined;
    },
  ];
  for (const keep of keeps) {
    const desired = new Desired();
    const letGo = keep(desired);
    const entry = desired.entry("channel", "a");
    assertEquals(desired.add("channel", "a"), true);
    assertEquals(desired.delete("channel", "a"), true);
    assert(desired.find("channel", "a") === entry);
    letGo();
    desired.tidy(entry);
    assertEquals(desired.find("channel", "a"), undefined);
    assert(desired.entry("channel", "a") !== entry);
  }
});

const names = fc.constantFrom(..."abcdefg");
const wish = fc.record({
  type: fc.constantFrom("add", "enter", "delete", "has", "clear"),
  kind: fc.constantFrom(...KINDS),
  name: names,
});

test("in whatever order names come, go and are asked for, each is found if it is wanted", () => {
  fc.assert(
    fc.property(fc.array(wish, { maxLength: 60, size: "max" }), (wishes) => {
      const desired = new Desired();
      const model = new Set<string>();
      for (const { type, kind, name } of wishes) {
        const key = `${kind} ${name}`;
        const had = model.has(key);
        switch (type) {
          case "add":
            assertEquals(desired.add(kind, name), !had);
            model.add(key);
            break;
          case "enter": {
            const entries = desired.enter(kind, [name, "z", name]);
            assertEquals(entries.map((entry) => `${entry.kind} ${entry.name}`), [key, `${kind} z`, key]);
            assertEquals(entries.map(({ kind, name }) => desired.find(kind, name)), entries);
            for (const { kind, name } of entries) model.add(`${kind} ${name}`);
            break;
          }
          case "delete":
            assertEquals(desired.delete(kind, name), model.delete(key));
            break;
          case "has":
            assertEquals(desired.has(kind, name), had);
            break;
          case "clear":
            if (name !== "a") break;
            desired.clear();
            model.clear();
        }
        const all = KINDS.flatMap((kind) => [...desired.entries(kind)].map((entry) => `${kind} ${entry.name}`));
        assertEquals(all.sort(), [...model].sort());
      }
    }),
  );
});

const many = fc.oneof(
  fc.record({ type: fc.constant("want" as const), names: fc.array(names) }),
  fc.record({ type: fc.constantFrom("drop", "confirm", "remove", "reject"), names: fc.array(names) }),
);

test("many names at once end where they end one by one, also where another connection has some of them", () => {
  fc.assert(
    fc.property(fc.array(many, { maxLength: 30, size: "max" }), fc.array(names), (steps, others) => {
      const sides = [0, 1].map(() => {
        const desired = new Desired();
        const other = new Subscriptions(desired);
        for (const name of others) {
          desired.add("channel", name);
          other.reconcile("channel", name);
        }
        return { desired, subscriptions: new Subscriptions(desired) };
      });
      const [single, bulk] = sides as [typeof sides[0], typeof sides[0]];
      for (const { type, names } of steps) {
        if (type === "want") {
          const asked: string[] = [];
          for (const name of names) {
            single.desired.add("channel", name);
            single.subscriptions.input("channel", name, "retried");
            if (single.subscriptions.reconcile("channel", name) === "subscribe") asked.push(name);
          }
          const entries = bulk.desired.enter("channel", names);
          for (const entry of entries) entry.wish = "wanted";
          assertEquals(bulk.subscriptions.request(entries).map(({ name }) => name), asked);
        } else if (type === "drop") {
          for (const { desired } of sides) for (const name of names) desired.delete("channel", name);
          for (const { subscriptions } of sides) for (const name of names) subscriptions.reconcile("channel", name);
        } else {
          const due = type === "remove" ? "unsubscribing" : "subscribing";
          const some = [...new Set(names)].filter((name) => single.subscriptions.state("channel", name) === due);
          const input = type === "confirm" ? "confirmed" : type === "remove" ? "removed" : "rejected";
          const places = some.map((name) => bulk.subscriptions.place("channel", name)!);
          let at = 0;
          for (const name of some) {
            single.subscriptions.input("channel", name, input);
            const action = single.subscriptions.reconcile("channel", name);
            if (input !== "rejected") at = bulk.subscriptions.settle(input, places, at, places.length);
            if (places[at]?.name !== name) continue;
            if (input !== "rejected") assertEquals(action === "none", false, name);
            bulk.subscriptions.input("channel", name, input);
            assertEquals(bulk.subscriptions.reconcile("channel", name), action);
            at++;
          }
        }
        const [a, b] = sides.map(({ subscriptions }) => [
          [...subscriptions.places("channel")].map(({ name, state }) => `${name} ${state}`).sort(),
          subscriptions.size,
          subscriptions.unsettled,
        ]);
        assertEquals(b, a);
      }
      for (const { subscriptions } of sides) {
        subscriptions.end();
        assertEquals([subscriptions.size, [...subscriptions.places("channel")]], [0, []]);
      }
    }),
  );
});
