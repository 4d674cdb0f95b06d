/**
 * Runs programs for the other scripts.
 *
 * @module
 */

import { resolve } from "node:path";

/** The root of the project. */
export const ROOT: string = resolve(import.meta.dirname ?? ".", "..");

/** How a program ended, and what it printed. */
export interface Ended {
  ok: boolean;
  output: string;
}

/** How to run a program. */
export interface RunOptions {
  /** @default {the root of the project} */
  cwd?: string;
  /** When to stop it, in milliseconds. @default {600_000} */
  timeoutMs?: number;
  env?: Record<string, string>;
}

/** Runs a program to its end; standard output and error come together. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { cwd = ROOT, timeoutMs = 600_000 } = options;
  const env = { ...(Deno.stdout.isTerminal() ? {} : { NO_COLOR: "1" }), ...options.env };
  const timeout = AbortSignal.timeout(timeoutMs);
  const command = new Deno.Command(program, { args: [...args], cwd, env, stdin: "null", signal: timeout });
  const { success, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  const late = timeout.aborted ? `Stopped after ${timeoutMs} ms\n` : "";
  return { ok: success, output: decoder.decode(stdout) + decoder.decode(stderr) + late };
}

/** Runs this very Deno, which may not be on the PATH. */
export function deno(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return run(Deno.execPath(), args, options);
}

/** Whether a program is on the PATH. */
export async function has(program: string): Promise<boolean> {
  try {
    return (await run(program, ["--version"])).ok;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The name of a program of npm, which is a script on Windows. */
export function npmProgram(name: "npm" | "npx"): string {
  return Deno.build.os === "windows" ? `${name}.cmd` : name;
}

/** Installs packages of npm, such as `name@1.0.0`, into the project in a folder. */
export function npmInstall(folder: string, packages: readonly string[]): Promise<Ended> {
  const flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
  return run(npmProgram("npm"), ["install", ...flags, ...packages], { cwd: folder });
}

/** Whether packages can be had from JSR; asks once, briefly. */
export async function jsrAnswers(): Promise<boolean> {
  return (await deno(["eval", "--no-config", 'import "jsr:@std/assert@1/equal"'], { timeoutMs: 10_000 })).ok;
}

/** The arguments that map the development dependencies: without JSR to the stand-ins in `tests/support/std`. */
export async function importMapArgs(): Promise<string[]> {
  return await jsrAnswers() ? [] : ["--import-map", "tests/support/offline.json"];
}

/** Every TypeScript file below a folder of the project, as a sorted list of paths with forward slashes. */
export async function listFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(resolve(ROOT, folder))) {
      if (isDirectory) found.push(...await listFiles(`${folder}/${name}`));
      else if (name.endsWith(".ts")) found.push(`${folder}/${name}`);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return found.sort();
}
