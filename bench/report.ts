/**
 * From measurements to a table.
 *
 * @module
 */

import type { Cell } from "./frames.ts";
import type { Measurement } from "./run.ts";

/** One client, on one runtime, in one cell: a measurement each round. */
export interface Series {
  readonly runtime: string;
  readonly client: string;
  readonly cell: Cell;
  readonly rounds: Measurement[];
}

/** Whom the tables compare. */
export interface Comparison {
  /** Ours: the label. */
  readonly ours: string;
  /** The others; the fastest of each round is the measure. */
  readonly peers: readonly string[];
  /** No client: how fast the socket is. */
  readonly raw: string;
}

interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** One runtime's table, in Markdown; `frameBytes` is the length of a message of a cell. */
export function table(
  all: readonly Series[],
  who: Comparison,
  frameBytes: (cell: Cell) => number,
): string {
  const cells = [
    ...new Map(all.map(({ cell }) => [cellName(cell), cell])).values(),
  ];
  const find = (client: string, cell: Cell) => {
    const found = all.find((series) => series.client === client && cellName(series.cell) === cellName(cell));
    return found?.rounds ?? [];
  };
  const row = (
    label: string,
    text: (cell: Cell) => string,
  ) => [label, ...cells.map(text)];
  const ratio = (cell: Cell, peers: readonly string[]) =>
    find(who.ours, cell).map(({ perSecond }, round) =>
      perSecond /
      Math.max(
        ...peers.map((peer) => find(peer, cell)[round]?.perSecond ?? NaN),
      )
    );
  const rows = [
    ...[who.ours, ...who.peers].map((client) =>
      row(
        client,
        (cell) =>
          show(
            find(client, cell).map(({ perSecond }) => perSecond / 1e3),
            thousands,
          ),
      )
    ),
    row(
      "ratio to the fastest peer",
      (cell) => show(ratio(cell, who.peers), times),
    ),
    row(
      "ratio to the raw socket",
      (cell) => show(ratio(cell, [who.raw]), times),
    ),
    row("raw socket, GB/s", (cell) => {
      return show(
        find(who.raw, cell).map(({ perSecond }) => perSecond * frameBytes(cell) / 1e9),
        decimals(1),
      );
    }),
    ...[who.ours, ...who.peers].map((client) =>
      row(`CPU of ${client}, µs a message`, (cell) => {
        return show(
          find(client, cell).map(({ cpuMicros }) => cpuMicros),
          decimals(2),
        );
      })
    ),
  ];
  return markdown([
    ["thousand messages a second", ...cells.map(cellName)],
    ...rows,
  ]);
}

/** The median of some numbers, and how far they reach. */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle)] ?? NaN)) /
    2;
  return { median, min: sorted[0] ?? NaN, max: sorted.at(-1) ?? NaN };
}

function cellName({ payloadBytes, channels }: Cell): string {
  return `${payloadBytes} B, ${channels.toLocaleString("en")} ch.`;
}

function show(
  values: readonly number[],
  format: (value: number) => string,
): string {
  if (values.length === 0) return "–";
  const { median, min, max } = spread(values);
  return values.length === 1 ? format(median) : `${format(median)} (${format(min)}–${format(max)})`;
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function times(value: number): string {
  return `${value.toFixed(2)}×`;
}

function decimals(digits: number): (value: number) => string {
  return (value) => value.toFixed(digits);
}

function markdown(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) => `| ${row.map((text, column) => text.padEnd(widths[column]!)).join(" | ")} |`);
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}
