/**
 * Holds the table of `tests/README.md` to the tests that it names.
 *
 * @module
 */

import type { Violation } from "./check_layers.ts";
import type { Source } from "./source.ts";

/** Where the table stands. */
export const TABLE = "tests/README.md";
/** The lines that must have a test. */
export const REQUIRED: readonly number[] = [
  ...Array.from({ length: 20 }, (_, i) => i + 1),
  28,
  29,
  30,
  31,
  32,
  33,
  34,
  37,
];

/** What is wrong with the table: a test that is not there under its name, or a line that has none. */
export function checkRequirements(table: string, files: readonly Source[], required = REQUIRED): Violation[] {
  const texts = new Map(files.map(({ path, literals }) => [path, new Set(literals.map(({ text }) => text))]));
  const violations: Violation[] = [];
  const missing = new Set(required);
  for (const [index, text] of table.split("\n").entries()) {
    const row = /^\| (\d+) +\|[^|]*\| ([^|]+?) +\| ([^|]+?) +\|$/.exec(text);
    if (row === null) continue;
    missing.delete(Number(row[1]));
    const known = texts.get(`tests/${row[2]}`);
    // A test in a loop has a name with values in it; the words between them tell it.
    const words = row[3]!.split(/\$\{.*?\}+/).filter((part) => part !== "");
    if (known !== undefined && words.every((part) => known.has(part))) continue;
    violations.push({ path: TABLE, line: index + 1, sentence: `There is no such test in ${row[2]}: ${row[3]}` });
  }
  for (const line of missing) violations.push({ path: TABLE, line: 1, sentence: `A line has no test: ${line}` });
  return violations;
}
