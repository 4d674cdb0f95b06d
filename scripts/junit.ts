/**
 * Reads the reports of test runners, so that results are counted and never guessed from what is printed.
 *
 * @module
 */

/** The results of one or more runs. */
export interface Counts {
  passed: number;
  failed: number;
  /** The name of each skipped test, with its reason. */
  skipped: readonly string[];
}

const TESTCASE = /<testcase((?:\s+[\w:-]+\s*=\s*"[^"]*")*)\s*(?:\/>|>([\s\S]*?)<\/testcase>)/g;

/** Counts the test cases of a JUnit report, as Deno and Node write it. */
export function countJUnit(xml: string): Counts {
  let passed = 0;
  let failed = 0;
  const skipped: string[] = [];
  for (const [, attributes = "", body = ""] of xml.matchAll(TESTCASE)) {
    const skip = /<skipped\b([^>]*)>/.exec(body);
    if (/<(failure|error)\b/.test(body)) failed += 1;
    else if (skip === null) passed += 1;
    else {
      const name = attribute(attributes, "name");
      const reason = attribute(skip[1] ?? "", "message");
      skipped.push(reason === "" || name.includes(reason) ? name : `${name} (skipped: ${reason})`);
    }
  }
  return { passed, failed, skipped };
}

/**
 * The results of a runner that wrote a report: a run that failed without a failed test, or that ran no test, counts as
 * one failure.
 */
export function judge(ok: boolean, xml: string): Counts {
  const counts = countJUnit(xml);
  const ran = counts.passed + counts.failed + counts.skipped.length > 0;
  return (!ok && counts.failed === 0) || !ran ? { ...counts, failed: counts.failed + 1 } : counts;
}

/** Adds results up. */
export function sum(all: readonly Counts[]): Counts {
  return {
    passed: all.reduce((total, { passed }) => total + passed, 0),
    failed: all.reduce((total, { failed }) => total + failed, 0),
    skipped: all.flatMap(({ skipped }) => skipped),
  };
}

/** The closing line of a test run. */
export function closingLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ""}`;
}

const ENTITIES: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

function attribute(attributes: string, name: string): string {
  const value = new RegExp(`(?:^|\\s)${name}\\s*=\\s*"([^"]*)"`).exec(attributes)?.[1] ?? "";
  return value.replace(/&(\w+);/g, (entity, name: string) => ENTITIES[name] ?? entity);
}
