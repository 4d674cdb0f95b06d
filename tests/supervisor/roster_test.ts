import { assertEquals } from "@std/assert";
import { ReplyError } from "../../src/errors.ts";
import type { Kind } from "../../src/message.ts";
import { privateChannel } from "../../src/name.ts";
import { Subscriptions } from "../../src/protocol/subscriptions.ts";
import type { Standing } from "../../src/supervisor/calls.ts";
import { Roster } from "../../src/supervisor/roster.ts";
import { test } from "../support/test.ts";

const refusal = new ReplyError("NOPERM no", "SUBSCRIBE", { channel: "a" });

/** A roster, and what its live connection has confirmed. */
function stage(): { roster: Roster; confirmed: Subscriptions } {
  const roster: Roster = new Roster(() => confirmed);
  const confirmed = new Subscriptions(roster.desired);
  return { roster, confirmed };
}

function want(roster: Roster, kind: Kind, name: string): void {
  roster.want(kind, roster.desired.enter(kind, [name]));
}

function standing(roster: Roster, kind: Kind, name: string): Standing | undefined {
  return roster.standings([{ kind, name }])[0];
}

test("a name is unsettled until the server has acknowledged it, and again until it has let go of it", () => {
  const { roster, confirmed } = stage();
  assertEquals(standing(roster, "channel", "a"), "settled", "nobody wants it");
  want(roster, "channel", "a");
  confirmed.reconcile("channel", "a");
  assertEquals([standing(roster, "channel", "a"), roster.has("channel", "a")], ["unsettled", false]);
  confirmed.input("channel", "a", "confirmed");
  assertEquals([standing(roster, "channel", "a"), roster.has("channel", "a")], ["settled", true]);
  roster.drop("channel", "a");
  assertEquals(standing(roster, "channel", "a"), "unsettled");
});

test("a refusal stands until somebody asks again, the server answers otherwise, or all is forgiven", () => {
  const { roster } = stage();
  const deny = () => {
    want(roster, "channel", "a");
    roster.denied("channel", "a", refusal);
    assertEquals(standing(roster, "channel", "a"), refusal);
    assertEquals(roster.denials(), [{ kind: "channel", name: "a" }]);
  };
  const ways = [
    () => want(roster, "channel", "a"),
    () => roster.drop("channel", "a"),
    () => roster.answered("channel", "a"),
    () => roster.forgive(),
  ];
  for (const way of ways) {
    deny();
    way();
    assertEquals(roster.denials(), []);
  }
});

test("it lists kind by kind, what is wanted before what is leaving", () => {
  const { roster, confirmed } = stage();
  for (const name of ["gone", "here"]) {
    want(roster, "channel", name);
    confirmed.reconcile("channel", name);
    confirmed.input("channel", name, "confirmed");
  }
  roster.drop("channel", "gone");
  want(roster, "shard", "s");
  want(roster, "pattern", "p*");
  roster.denied("pattern", "p*", refusal);
  assertEquals(roster.names().map(({ name }) => name), ["here", "p*", "s"]);
  assertEquals(roster.subscriptions(), [
    { kind: "channel", name: "here", state: "subscribed" },
    { kind: "channel", name: "gone", state: "unsubscribing" },
    { kind: "pattern", name: "p*", state: "denied", error: refusal },
    { kind: "shard", name: "s", state: "pending" },
  ]);
});

test("what is private is listed nowhere", () => {
  const { roster, confirmed } = stage();
  const channel = privateChannel("x");
  want(roster, "channel", channel);
  confirmed.reconcile("channel", channel);
  confirmed.input("channel", channel, "confirmed");
  assertEquals([roster.names(), roster.subscriptions()], [[], []]);
  roster.drop("channel", channel);
  confirmed.reconcile("channel", channel);
  assertEquals(roster.subscriptions(), []);
});

test("of another connection that is the live one, it tells what is different, and what is lost", () => {
  const roster: Roster = new Roster(() => has);
  const [had, has] = [new Subscriptions(roster.desired), new Subscriptions(roster.desired)];
  /** What the old and the new connection say to each name. */
  const answers = {
    both: ["confirmed", "confirmed"],
    later: [undefined, "confirmed"],
    granted: ["rejected", "confirmed"],
    refused: ["confirmed", "rejected"],
    never: ["rejected", "rejected"],
    [privateChannel("x")]: ["confirmed", "rejected"],
    leaving: ["confirmed", undefined],
  } as const;
  for (const [name, [old, now]] of Object.entries(answers)) {
    want(roster, "channel", name);
    for (const [side, answer] of [[had, old], [has, now]] as const) {
      if (answer === undefined) continue;
      side.reconcile("channel", name);
      side.input("channel", name, answer);
    }
    if (old === "rejected") roster.denied("channel", name, refusal);
  }
  roster.drop("channel", "leaving");
  const denials = Object.keys(answers).map((
    name,
  ) => ({ type: "denied", kind: "channel", name, error: refusal } as const));
  const { events, refused } = roster.taken(had, has, denials);
  assertEquals(events.map(({ type, name }) => `${type} ${name}`), [
    "subscribed later",
    "subscribed granted",
    "denied refused",
    "unsubscribed leaving",
  ]);
  assertEquals([...refused.places("channel")], [{ name: "refused", state: "subscribed" }]);
  assertEquals(roster.denials().map(({ name }) => name), ["never", "refused"]);
});
