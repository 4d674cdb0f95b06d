/** Takes the place of `test.ts`, `skip.ts` and `after_all.ts` inside `workerd`, which has no runner of tests. */

import type { Test } from "../test.ts";

/** What became of one test. */
export interface Outcome {
  readonly name: string;
  readonly verdict: "passed" | "failed" | "skipped";
  /** Why it failed. */
  readonly detail: string;
}

interface Registered {
  readonly name: string;
  readonly body: (() => void | Promise<void>) | undefined;
}

let registered: Registered[] = [];
let endings: (() => Promise<void>)[] = [];

export const test: Test = (name, body) => void registered.push({ name, body });

export function testUnless(reason: string | undefined, name: string, body: () => void | Promise<void>): void {
  if (reason === undefined) test(name, body);
  else registered.push({ name: `${name} (skipped: ${reason})`, body: undefined });
}

export function afterAll(body: () => Promise<void>): void {
  endings.push(body);
}

/** Runs what `load` registers, in its order. */
export async function runTests(load: () => Promise<unknown>): Promise<Outcome[]> {
  registered = [];
  endings = [];
  await load();
  const outcomes: Outcome[] = [];
  for (const { name, body } of registered) {
    const failure = body === undefined ? undefined : await failureOf(body);
    const verdict = body === undefined ? "skipped" : failure === undefined ? "passed" : "failed";
    outcomes.push({ name, verdict, detail: failure ?? "" });
  }
  for (const ending of endings) await ending();
  return outcomes;
}

async function failureOf(body: () => void | Promise<void>): Promise<string | undefined> {
  try {
    await body();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.stack ?? String(error) : String(error);
  }
}
