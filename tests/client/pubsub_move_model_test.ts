import { assert, assertEquals } from "@std/assert";
import { Dice } from "../support/dice.ts";
import { settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";
import { DUE_MS, MovingStage } from "./moving_stage.ts";

/** A name that comes and goes, and what was published on it. */
class Guest {
  state: "out" | "coming" | "in" | "going" = "out";
  /** What must come. */
  readonly due = new Set<string>();
}

/** Moves while messages come, names come and go, and the network dawdles at random; every number has to come once. */
async function play(dice: Dice, protocol: 2 | 3): Promise<void> {
  const slow = dice.pick([0, 1, 3, 6]);
  const overflow = dice.pick(["drop-oldest", "block"] as const);
  const stage = new MovingStage({
    protocol,
    dawdle: () => Math.floor(dice.next() * (slow + 1)),
    // Time passes in leaps, and the network dawdles.
    client: { commandTimeoutMs: 1e9, connectTimeoutMs: 1e9, closeTimeoutMs: 1e9 },
    stream: overflow === "block" ? { overflow, maxQueuedMessages: 2 } : {},
    takes: () => overflow === "block" ? dice.pick([0, 0, 1, 2]) : 0,
  });
  const { pubsub, broker } = stage;
  // In RESP3 it moves where AUTH in place is refused.
  if (protocol === 3) broker.refuse("AUTH", "NOPERM no");
  await pubsub.subscribe("n");
  await pubsub.psubscribe("*");
  const guests = ["a", "b", "c"].map((name) => [name, new Guest()] as const);
  const came = (kind: string, channel: string) =>
    stage.messages.filter((message) => message.kind === kind && message.channel === channel)
      .map(({ payload }) => payload);
  let number = 0;
  const publish = () => {
    broker.publish("n", String(number));
    for (const [name, guest] of guests) {
      const payload = `${name}${number}`;
      if (guest.state === "in") guest.due.add(payload);
      broker.publish(name, payload);
    }
    number++;
  };
  const flip = (name: string, guest: Guest) => {
    if (guest.state === "out") {
      guest.state = "coming";
      pubsub.subscribe(name).then(() => guest.state = "in");
    } else if (guest.state === "in") {
      guest.state = "going";
      // Whoever lets go gets nothing of what is still on its way.
      const here = new Set(came("channel", name));
      for (const payload of guest.due) if (!here.has(payload)) guest.due.delete(payload);
      pubsub.unsubscribe(name).then(() => guest.state = "out");
    }
  };
  for (let step = 0; step < 150; step++) {
    const chance = dice.next();
    if (chance < 0.5) publish();
    else if (chance < 0.7) flip(...dice.pick(guests));
    // Not while it moves: a leap of time would leave the new credentials expired.
    else if (chance < 0.76 && stage.asked === stage.count("connected")) await stage.clock.advance(DUE_MS);
    else if (chance < 0.9) await settle();
  }
  const resting = () =>
    stage.asked === stage.count("connected") && stage.open === 1 &&
    guests.every(([, { state }]) => state === "in" || state === "out");
  for (let turns = 0; !resting(); turns++) {
    assert(turns < 20_000, "It does not come to rest");
    if (turns % 50 === 0) publish();
    await settle();
  }
  publish();
  const isLast = () => stage.messages.at(-1)?.kind === "pattern" && stage.messages.at(-1)?.payload === `c${number - 1}`;
  for (let turns = 0; turns < 20_000 && !isLast(); turns++) await settle();
  assert(stage.count("connected") > 1, "It did not move");
  assertEquals([stage.count("disconnected"), stage.count("gap"), stage.count("error")], [0, 0, 0]);
  assertEquals(stage.messages.filter(({ gap }) => gap !== undefined), []);
  const all = Array.from({ length: number }, (_, i) => String(i));
  assertEquals(came("channel", "n"), all);
  assertEquals(came("pattern", "n"), all);
  for (const [name, guest] of guests) {
    const payloads = came("channel", name);
    assertEquals(payloads, [...new Set(payloads)], "twice");
    const order = payloads.map((payload) => Number(payload.slice(1)));
    assertEquals(order, [...order].sort((a, b) => a - b));
    const missing = [...guest.due].filter((payload) => !payloads.includes(payload));
    assertEquals(missing, []);
    assertEquals(came("pattern", name), all.map((i) => `${name}${i}`));
  }
  const channels = new Set(stage.messages.map(({ channel }) => channel));
  assertEquals([...channels].sort(), ["a", "b", "c", "n"]);
  assertEquals(await stage.end(), { timers: 0, open: 0 });
}

for (const protocol of [2, 3] as const) {
  test(`whatever the timing of a move, every message comes once and in order: RESP${protocol}`, async () => {
    for (let round = 0; round < 120; round++) {
      const dice = new Dice(round * 2 + protocol);
      try {
        await play(dice, protocol);
      } catch (error) {
        throw new Error(`Seed ${dice.seed}`, { cause: error });
      }
    }
  });
}
