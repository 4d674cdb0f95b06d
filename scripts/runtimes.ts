/**
 * The programs that run the suite on the npm package. Those that are not on the PATH come from npm, where it has them.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import type { ServerSource } from "../tests/support/redis_server.ts";
import { npmProgram, run } from "./deno.ts";

/** A program that runs JavaScript. */
export interface Runtime {
  /** Whose test runner it has. */
  kind: "Node" | "Bun";
  /** Such as `Node 24.21.0`. */
  title: string;
  /** The path of the program. */
  program: string;
}

/** A runtime, or why there is none. */
export type Found = { kind: "found"; runtime: Runtime } | { kind: "missing"; title: string; reason: string };

/** The least Node that the package runs on. */
export const MIN_NODE = 20;

const MIN_NODE_FOR_CONTAINERS = 22;

/** The lines of Node that are tested beside the one on the PATH, as npm tags and ranges. */
export const NODE_LINES = ["20", "22", "24", "latest"];

const TELL = "console.log(process.execPath + '\\n' + (process.versions.bun ?? process.versions.node))";

/** The Node on the PATH. */
export async function nodeOnPath(): Promise<Found> {
  const found = await ask("Node", "Node on the PATH", "node", []);
  return found.kind === "found" && major(found.runtime) < MIN_NODE
    ? { kind: "missing", title: "Node on the PATH", reason: `${found.runtime.title} is older than ${MIN_NODE}` }
    : found;
}

/** One Node of each line, as npm brings them; not of the line that the PATH has already, unless that is a part of it. */
export async function furtherNodes(lines: readonly string[] = NODE_LINES): Promise<Found[]> {
  const onPath = await nodeOnPath();
  const known = onPath.kind === "found" ? String(major(onPath.runtime)) : undefined;
  const found: Found[] = [];
  for (const line of lines.filter((line) => line !== known)) {
    found.push(await ask("Node", `Node ${line}`, npmProgram("npx"), ["-y", "-p", `node@${line}`, "node"]));
  }
  return unique(found);
}

/** Bun, as npm brings it. */
export async function bun(): Promise<Found> {
  const spec = config.imports.bun.replace(/^npm:/, "");
  return await ask("Bun", "Bun", npmProgram("npx"), ["-y", "-p", spec, "bun"]);
}

/** Leaves out what was found before: the newest may be of a line that is asked for, too. */
export function unique(all: readonly Found[]): Found[] {
  return all.filter((one, index) =>
    one.kind === "missing" ||
    all.findIndex((other) => other.kind === "found" && other.runtime.title === one.runtime.title) === index
  );
}

/** Those that can run the suite: where servers are containers, testcontainers has a least Node of its own. */
export function fit(all: readonly Found[], server: ServerSource["kind"]): Found[] {
  return all.map((found) => {
    if (server !== "container" || found.kind === "missing" || found.runtime.kind !== "Node") return found;
    return major(found.runtime) < MIN_NODE_FOR_CONTAINERS
      ? { kind: "missing", title: found.runtime.title, reason: `testcontainers needs Node ${MIN_NODE_FOR_CONTAINERS}` }
      : found;
  });
}

async function ask(kind: Runtime["kind"], title: string, program: string, args: readonly string[]): Promise<Found> {
  try {
    const { ok, output } = await run(program, [...args, "-e", TELL], { timeoutMs: 120_000 });
    const [path, version] = output.trim().split(/\r?\n/).slice(-2);
    if (ok && path && version) return { kind: "found", runtime: { kind, title: `${kind} ${version}`, program: path } };
    return { kind: "missing", title, reason: output.trim().split(/\r?\n/).at(-1) ?? "" };
  } catch (error) {
    return { kind: "missing", title, reason: error instanceof Error ? error.message : String(error) };
  }
}

function major({ title }: Runtime): number {
  return Number(/\d+/.exec(title)?.[0] ?? 0);
}
