/**
 * Numbers as people read them: the median of some rounds, how far they reach, and tables of that in Markdown.
 *
 * @module
 */

/** The median of some numbers, and how far they reach. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The spread of some numbers; all NaN when there are none. */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle)] ?? NaN)) / 2;
  return { median, min: sorted[0] ?? NaN, max: sorted.at(-1) ?? NaN };
}

/** A value of each round over another one of the same round; a round that lacks either is left out. */
export function ratios(over: readonly (number | undefined)[], under: readonly (number | undefined)[]): number[] {
  return over.flatMap((value, round) => {
    const base = under[round];
    return value === undefined || base === undefined ? [] : [value / base];
  });
}

/** Those that were measured. */
export function known(values: readonly (number | undefined)[]): number[] {
  return values.filter((value) => value !== undefined && !Number.isNaN(value)) as number[];
}

/** One number of every round; undefined where the round failed. */
export function each<T>(rounds: readonly (T | null)[], of: (one: T) => number | undefined): (number | undefined)[] {
  return rounds.map((one) => one === null ? undefined : of(one));
}

/**
 * Of several, the rounds of the one whose median is the least, or the most: the best one of each round would be the
 * luckiest.
 */
export function best(
  all: readonly (readonly (number | undefined)[])[],
  which: "least" | "most",
): readonly (number | undefined)[] {
  const sign = which === "least" ? 1 : -1;
  const measured = all.filter((rounds) => known(rounds).length > 0);
  const median = (rounds: readonly (number | undefined)[]) => sign * spread(known(rounds)).median;
  return measured.toSorted((a, b) => median(a) - median(b))[0] ?? [];
}

/**
 * `median (min–max)`; the median alone when there is one round, and a dash when there is none. Rounds that failed are
 * counted behind it.
 */
export function show(rounds: readonly (number | undefined)[], format: (value: number) => string): string {
  const values = known(rounds);
  const failed = values.length < rounds.length ? ` ${rounds.length - values.length} failed` : "";
  if (values.length === 0) return failed === "" ? "–" : failed.trim();
  const { median, min, max } = spread(values);
  return (values.length === 1 ? format(median) : `${format(median)} (${format(min)}–${format(max)})`) + failed;
}

/** Of numbers: `12,345`. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** Of ratios: `1.23×`. */
export function times(value: number): string {
  return `${value.toFixed(2)}×`;
}

/** Of numbers, with so many digits after the point. */
export function decimals(digits: number): (value: number) => string {
  return (value) => value.toFixed(digits);
}

/** A table in Markdown, as `deno fmt` leaves it; the first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows;
  const widths = head.map((_, column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${widths.map((width, column) => (row[column] ?? "").padEnd(width)).join(" | ")} |`;
  return [line(head), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...body.map(line)].join("\n");
}
