/**
 * Whether a target is met.
 *
 * @module
 */

import type { Runtime } from "./runtimes.ts";
import { known, spread, table } from "./spread.ts";

/** One target on one runtime. */
export interface Verdict {
  /** What is measured, with its unit or what it is compared with. */
  readonly what: string;
  /** What is aimed at, in words. */
  readonly target: string;
  readonly runtime: string;
  readonly measured: string;
  readonly isMet: boolean;
  /** What the least that could be measured in its place came to, where that misses it as well. */
  readonly floor: string | undefined;
}

/** What is aimed at. */
export interface Aim {
  readonly what: string;
  readonly limit: number;
  readonly is: "at most" | "at least";
  /** How values are written. */
  readonly format: (value: number) => string;
}

/**
 * Measures the median of some rounds by what is aimed at; nothing where no round measured anything. `floor` are the same
 * rounds of a program that does the least: where it misses, too, nobody can do it.
 */
export function judge(
  { what, limit, is, format }: Aim,
  runtime: string,
  rounds: readonly (number | undefined)[],
  floor: readonly (number | undefined)[] = [],
): Verdict[] {
  const values = known(rounds);
  if (values.length === 0) return [];
  const isMet = (value: number) => is === "at most" ? value <= limit : value >= limit;
  const { median } = spread(values);
  const { median: least } = spread(known(floor));
  return [{
    what,
    target: `${is} ${format(limit)}`,
    runtime,
    measured: format(median),
    isMet: isMet(median),
    floor: Number.isNaN(least) || isMet(median) || isMet(least) ? undefined : format(least),
  }];
}

const RUNTIMES: readonly Runtime["name"][] = ["Deno", "Node", "Bun"];

/** A row for each target. */
export function summaryTable(verdicts: readonly Verdict[]): string {
  const rows = new Map(verdicts.map((one) => [`${one.what}\n${one.target}`, one]));
  return table([
    ["what", "target", ...RUNTIMES],
    ...[...rows.values()].map(({ what, target }) => [
      what,
      target,
      ...RUNTIMES.map((runtime) => {
        const found = verdicts.find((one) => one.what === what && one.target === target && one.runtime === runtime);
        return found === undefined ? "–" : shown(found);
      }),
    ]),
  ]);
}

function shown({ measured, isMet, floor }: Verdict): string {
  if (isMet) return measured;
  return `${measured}, **missed**${floor === undefined ? "" : `, floor ${floor}`}`;
}

/** How many are met, in words, and how many not even by a floor. */
export function tally(verdicts: readonly Verdict[]): string {
  const beyond = verdicts.filter(({ floor }) => floor !== undefined).length;
  const met = `${verdicts.filter(({ isMet }) => isMet).length} of ${verdicts.length} are met`;
  return beyond === 0 ? `${met}.` : `${met}; of the others ${beyond} are beyond the floor.`;
}
