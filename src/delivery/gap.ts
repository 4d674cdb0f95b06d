/**
 * Gaps: how they are reckoned, how two that meet become one, and how a message tells one.
 *
 * @module
 */

import type { Clock } from "../connection/clock.ts";
import type { Gap, GapReason, Message } from "../message.ts";

/** What a connection that was lost `downMs` ago may have cost. */
export function lossGap(clock: Clock, downMs: number, reasons: Iterable<GapReason>): Gap {
  return { reasons: [...reasons], since: new Date(clock.date() - downMs), downMs: Math.round(downMs), dropped: 0 };
}

/** One gap for two that meet. */
export function merge(a: Gap | undefined, b: Gap | undefined): Gap | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return {
    reasons: [...new Set<GapReason>([...a.reasons, ...b.reasons])],
    since: a.since < b.since ? a.since : b.since,
    downMs: a.downMs + b.downMs,
    dropped: a.dropped + b.dropped,
  };
}

/** The same message with `gap` before it, and before what it had to tell itself. */
export function withGap<T>(
  { kind, channel, pattern, payload, gap: own }: Message<T>,
  gap: Gap | undefined,
): Message<T> {
  return { kind, channel, pattern, payload, gap: merge(gap, own) };
}
