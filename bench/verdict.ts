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
}

/** What is aimed at. */
export interface Aim {
  readonly what: string;
  readonly limit: number;
  readonly is: "at most" | "at least";
  /** How values are written. */
  readonly format: (value: number) => string;
}

/** Measures the median of some rounds by what is aimed at; nothing where no round measured anything. */
export function judge(
  { what, limit, is, format }: Aim,
  runtime: string,
  rounds: readonly (number | undefined)[],
): Verdict[] {
  const values = known(rounds);
  if (values.length === 0) return [];
  const { median } = spread(values);
  const isMet = is === "at most" ? median <= limit : median >= limit;
  return [{ what, target: `${is} ${format(limit)}`, runtime, measured: format(median), isMet }];
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
        return found === undefined ? "–" : `${found.measured}${found.isMet ? "" : ", **missed**"}`;
      }),
    ]),
  ]);
}

/** How many are met, in words. */
export function tally(verdicts: readonly Verdict[]): string {
  return `${verdicts.filter(({ isMet }) => isMet).length} of ${verdicts.length} are met.`;
}
