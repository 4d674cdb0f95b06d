/**
 * What happens in a round of chaos, and when: all of it follows from the seed.
 *
 * @module
 */

import type { Kind } from "@earshot/redis";
import { Dice } from "../../support/dice.ts";
import { type Direction, DIRECTIONS, type Flow } from "../../support/faulty_proxy.ts";
import type { Overflow } from "./evidence.ts";

export type Mood = "eager" | "slow" | "asleep";
export type Manner = "iterator" | "reader" | "batches";

/** One stream, and how it is read. `names` are indexes of {@linkcode NAMES}. */
export interface StreamPlan {
  readonly names: readonly number[];
  readonly overflow: Overflow;
  readonly maxQueuedMessages: number;
  readonly manner: Manner;
  readonly mood: Mood;
}

/** What befalls the connection. */
export type Fault =
  | { readonly what: "cut" | "reset" | "kill" | "stall" | "refuse" | "refuse with a reset" | "freeze what comes" }
  | { readonly what: "freeze"; readonly directions: readonly Direction[] }
  | { readonly what: "freeze a subscription" }
  | { readonly what: "truncate"; readonly direction: Direction; readonly bytes: number }
  | { readonly what: "delay" | "drip" | "single bytes"; readonly direction: Direction; readonly flow: Flow };

/** Something that happens, and for how long it lasts where it is one that ends. */
export type Action =
  & { readonly at: number }
  & (
    | { readonly type: "fault"; readonly fault: Fault; readonly forMs: number }
    | { readonly type: "subscribe" | "unsubscribe"; readonly name: number }
    | { readonly type: "open"; readonly stream: StreamPlan }
    /** Of the streams that are open, this one, modulo their number. */
    | { readonly type: "cancel"; readonly stream: number }
    | { readonly type: "mood"; readonly stream: number; readonly mood: Mood }
  );

/** A round. */
export interface Plan {
  readonly seed: number;
  readonly protocol: 2 | 3;
  /** With which credentials: none, or such as have to be renewed over and over, in place or by a new connection. */
  readonly login: "nobody" | "renewed";
  /** Is the connection disturbed from its first moment? */
  readonly early: boolean;
  readonly main: StreamPlan;
  /** How many channels are subscribed to besides, on which nothing comes: to be back takes its time. */
  readonly crowd: number;
  readonly streams: readonly StreamPlan[];
  readonly actions: readonly Action[];
  /** How many messages are published at each tick: to which of {@linkcode TARGETS}. */
  readonly ticks: readonly (readonly number[])[];
}

/** What can be subscribed to; the first is kept all the time. A stem is put in front of each. */
export const NAMES: readonly { readonly kind: Kind; readonly name: string }[] = [
  { kind: "channel", name: "kept" },
  { kind: "channel", name: "c0" },
  { kind: "channel", name: "c1 $3\r\nx\r\n" },
  { kind: "channel", name: "cü🎧" },
  { kind: "pattern", name: "c*" },
  { kind: "pattern", name: "p*" },
  { kind: "shard", name: "s0" },
  { kind: "shard", name: "c0" },
];

/** Where messages are published. */
export const TARGETS: readonly { readonly verb: "PUBLISH" | "SPUBLISH"; readonly channel: string }[] = [
  { verb: "PUBLISH", channel: "kept" },
  { verb: "PUBLISH", channel: "c0" },
  { verb: "PUBLISH", channel: "c1 $3\r\nx\r\n" },
  { verb: "PUBLISH", channel: "cü🎧" },
  { verb: "PUBLISH", channel: "p0" },
  { verb: "PUBLISH", channel: "p1" },
  { verb: "SPUBLISH", channel: "s0" },
  { verb: "SPUBLISH", channel: "c0" },
];

/** How long the faults of a round go on, in milliseconds. */
export const CHAOS_MS = 3_000;
/** How often something is published, in milliseconds. */
export const TICK_MS = 10;

/** How often each fault comes. */
const FAULTS: readonly Fault["what"][] = [
  "cut",
  "cut",
  "reset",
  "kill",
  "freeze",
  "freeze",
  "freeze a subscription",
  "freeze what comes",
  "stall",
  "truncate",
  "truncate",
  "delay",
  "drip",
  "single bytes",
  "refuse",
  "refuse with a reset",
];

/** The round of this seed. */
export function planOf(seed: number): Plan {
  const dice = new Dice(seed);
  const some = (least: number, most: number) => least + Math.floor(dice.next() * (most - least + 1));
  const moments = (count: number) => Array.from({ length: count }, () => some(0, CHAOS_MS)).sort((a, b) => a - b);
  const stream = (
    first: readonly number[],
    overflows: readonly Overflow[],
    manners: readonly Manner[],
  ): StreamPlan => ({
    names: [...new Set([...first, ...NAMES.flatMap((_, index) => dice.next() < 0.4 ? [index] : [])])],
    overflow: dice.pick(overflows),
    maxQueuedMessages: dice.pick([1, 4, 32, 128, 65_536]),
    manner: dice.pick(manners),
    mood: dice.pick<Mood>(["eager", "eager", "slow"]),
  });
  // What blocks holds up all others, and a failure of the main stream is that of all.
  const blocks = dice.next() < 0.2;
  const mains: Overflow[] = blocks ? ["block"] : ["drop-oldest", "drop-oldest", "drop-newest", "latest"];
  const locals: Overflow[] = blocks ? ["block", "drop-oldest"] : ["drop-oldest", "drop-newest", "latest", "error"];
  const local = () => stream([some(0, NAMES.length - 1)], locals, ["iterator", "reader"]);
  const main = stream([0], mains, ["iterator", "reader", "batches"]);
  const streams = Array.from({ length: some(0, 2) }, local);
  const actions: Action[] = [
    ...moments(some(2, 5)).map((at): Action => ({ at, type: "fault", fault: faultOf(dice), forMs: some(30, 500) })),
    ...moments(some(0, 8)).map((at): Action => {
      return { at, type: dice.pick(["subscribe", "unsubscribe"]), name: some(1, NAMES.length - 1) };
    }),
    ...moments(some(0, 2)).map((at): Action => ({ at, type: "open", stream: local() })),
    ...moments(some(0, 2)).map((at): Action => ({ at, type: "cancel", stream: some(0, 7) })),
    ...moments(some(0, 5)).map((at): Action => {
      return { at, type: "mood", stream: some(0, 7), mood: dice.pick<Mood>(["eager", "slow", "asleep"]) };
    }),
  ];
  const busy = dice.pick([0.3, 1, 3]);
  const ticks = Array.from({ length: Math.ceil(CHAOS_MS / TICK_MS) }, () => {
    const burst = dice.next() < 0.01 ? 150 : 0;
    return Array.from({ length: burst + Math.floor(dice.next() * 2 * busy + 0.5) }, () => some(0, TARGETS.length - 1));
  });
  return {
    seed,
    protocol: dice.pick<2 | 3>([2, 3]),
    early: dice.next() < 0.25,
    crowd: dice.pick([0, 0, 20, 400]),
    login: dice.pick(["nobody", "nobody", "renewed"]),
    main,
    streams,
    actions: actions.sort((a, b) => a.at - b.at),
    ticks,
  };
}

function faultOf(dice: Dice): Fault {
  const what = dice.pick(FAULTS);
  const direction = dice.pick(DIRECTIONS);
  switch (what) {
    case "freeze":
      return { what, directions: dice.pick([DIRECTIONS, DIRECTIONS, ["down"], ["up"]]) };
    case "truncate":
      return { what, direction, bytes: Math.floor(dice.next() ** 2 * 2_000) };
    case "delay":
      return { what, direction, flow: { delayMs: dice.pick([1, 10, 50]) } };
    case "drip":
      return { what, direction, flow: { piece: dice.pick([7, 60, 400]), pauseMs: dice.pick([1, 5]) } };
    case "single bytes":
      return { what, direction, flow: { piece: 1 } };
    default:
      return { what };
  }
}
