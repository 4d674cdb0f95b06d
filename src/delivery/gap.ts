/**
 * Gaps: how they are reckoned, how those that meet become one, and how a message tells one.
 *
 * @module
 */

import type { Clock } from "../connection/clock.ts";
import { type Gap, type GapReason, type Message, PlainMessage } from "../message.ts";

/** What a connection that was lost `downMs` ago may have cost. */
export function lossGap(clock: Clock, downMs: number, reasons: Iterable<GapReason>): Gap {
  return { reasons: [...reasons], since: new Date(clock.date() - downMs), downMs: Math.round(downMs), dropped: 0 };
}

/** The gap before a message that takes the place of one with this gap. */
export function replacedGap(gap: Gap | undefined, clock: Clock): Gap {
  if (gap === undefined || gap.backfill === "filled") return overflowGap(clock.date(), 1);
  const { reasons, since, downMs, dropped } = gap;
  return {
    reasons: reasons.includes("overflow") ? reasons : [...reasons, "overflow"],
    since,
    downMs,
    dropped: dropped + 1,
  };
}

function overflowGap(at: number, dropped: number): Gap {
  return { reasons: ["overflow"], since: new Date(at), downMs: 0, dropped };
}

/** A stretch of time, in milliseconds since the epoch. */
type Stretch = readonly [from: number, to: number];

/** The stretches that a gap of several counts: what it tells, their sum, does not say which time another one has in common with it. */
const STRETCHES = new WeakMap<Gap, readonly Stretch[]>();
/** So many of them are told apart; of two that are older only how long they took is kept. */
const MOST_STRETCHES = 32;

/**
 * One gap for two that meet. The time that both count is counted once. Where one of them is filled, only the other is
 * left to tell; where one is still to be filled, so is the whole.
 */
export function merge(a: Gap | undefined, b: Gap | undefined): Gap | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (a.backfill !== b.backfill) {
    if (a.backfill === "filled") return b;
    if (b.backfill === "filled") return a;
  }
  const stretches = union([...stretchesOf(a), ...stretchesOf(b)]);
  const gap = {
    reasons: [...new Set<GapReason>([...a.reasons, ...b.reasons])],
    since: a.since <= b.since ? a.since : b.since,
    downMs: stretches.reduce((sum, [from, to]) => sum + to - from, 0),
    dropped: a.dropped + b.dropped,
    ...a.backfill !== undefined && a.backfill === b.backfill ? { backfill: a.backfill } : {},
  };
  STRETCHES.set(gap, stretches);
  return gap;
}

/** What became of a gap: it counts the same time. */
export function settled(gap: Gap, backfill: NonNullable<Gap["backfill"]>): Gap {
  const told = { ...gap, backfill };
  STRETCHES.set(told, stretchesOf(gap));
  return told;
}

function stretchesOf(gap: Gap): readonly Stretch[] {
  const from = gap.since.getTime();
  return STRETCHES.get(gap) ?? (gap.downMs > 0 ? [[from, from + gap.downMs]] : []);
}

/** The same time, each part of it once, in order. */
function union(stretches: Stretch[]): readonly Stretch[] {
  const all: [from: number, to: number][] = [];
  for (const [from, to] of stretches.sort((a, b) => a[0] - b[0])) {
    const last = all.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else all.push([from, to]);
  }
  while (all.length > MOST_STRETCHES) {
    const [from, to] = all.shift()!;
    all[0]![0] -= to - from;
  }
  return all;
}

/** The same message with `gap` before it, and before what it had to tell itself. */
export function withGap<T>(
  { kind, channel, pattern, payload, gap: own }: Message<T>,
  gap: Gap | undefined,
): Message<T> {
  return new PlainMessage(kind, channel, pattern, payload, merge(gap, own));
}

/** What is missing at one place: a gap grows there before there is a message to tell it. */
export class Place {
  #gap: Gap | undefined;
  #dropped = 0;
  /** When the first of them was dropped, in milliseconds since the epoch. */
  #droppedAt = 0;

  /** What has a gap of its own is missing here, too. */
  add(gap: Gap): void {
    this.#gap = merge(this.#gap, gap);
  }

  /** A message was dropped here. */
  drop(clock: Clock): void {
    if (this.#dropped++ === 0) this.#droppedAt = clock.date();
  }

  /** All that is missing here. */
  gap(): Gap | undefined {
    return merge(this.#gap, this.#dropped === 0 ? undefined : overflowGap(this.#droppedAt, this.#dropped));
  }
}
