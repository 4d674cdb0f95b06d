/**
 * Reads the reports of test runners, so that results are counted and never guessed from what is printed.
 *
 * @module
 */

/** The results of one or more runs. */
export interface Counts {
  passed: number;
  failed: number;
  /** The name of each failed test, with the first line of what it said. */
  failures: readonly string[];
  /** The name of each skipped test, with its reason. */
  skipped: readonly string[];
}

const TESTCASE = /<testcase((?:\s+[\w:-]+\s*=\s*"[^"]*")*)\s*(?:\/>|>([\s\S]*?)<\/testcase>)/g;

/** Counts the test cases of a JUnit report, as Deno and Node write it. */
export function countJUnit(xml: string): Counts {
  let passed = 0;
  const failures: string[] = [];
  const skipped: string[] = [];
  for (const [, attributes = "", body = ""] of xml.matchAll(TESTCASE)) {
    const skip = /<skipped\b([^>]*)>/.exec(body);
    const failure = /<(?:failure|error)\b([^>]*)>/.exec(body);
    if (failure !== null) failures.push(`${attribute(attributes, "name")}: ${firstLine(failure[1] ?? "")}`);
    else if (skip === null) passed += 1;
    else {
      const name = attribute(attributes, "name");
      const reason = attribute(skip[1] ?? "", "message");
      skipped.push(reason === "" || name.includes(reason) ? name : `${name} (skipped: ${reason})`);
    }
  }
  return { passed, failed: failures.length, failures, skipped };
}

function firstLine(attributes: string): string {
  return attribute(attributes, "message").trim().split("\n")[0]!.slice(0, 300);
}

/**
 * The results of a runner that wrote a report: a run that failed without a failed test, or that ran no test, counts as
 * one failure.
 */
export function judge(ok: boolean, xml: string): Counts {
  const counts = countJUnit(xml);
  const ran = counts.passed + counts.failed + counts.skipped.length > 0;
  if ((ok || counts.failed > 0) && ran) return counts;
  return { ...counts, failed: counts.failed + 1, failures: [...counts.failures, "the run itself"] };
}

/** The results of one test. */
export function one(result: "passed" | "failed" | "skipped", name: string): Counts {
  return {
    passed: Number(result === "passed"),
    failed: Number(result === "failed"),
    failures: result === "failed" ? [name] : [],
    skipped: result === "skipped" ? [name] : [],
  };
}

/** Adds results up. */
export function sum(all: readonly Counts[]): Counts {
  return {
    passed: all.reduce((total, { passed }) => total + passed, 0),
    failed: all.reduce((total, { failed }) => total + failed, 0),
    failures: all.flatMap(({ failures }) => failures),
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
