/**
 * Holds the sources to the walls of `layers.ts`: `deno run -A scripts/check_layers.ts`. Each rule is a function from
 * facts about files to violations; only the end of this file reads files.
 *
 * @module
 */

import { dirname, relative, resolve } from "node:path/posix";
import { fileURLToPath, pathToFileURL } from "node:url";
import { checkRequirements, TABLE } from "./check_requirements.ts";
import * as walls from "./layers.ts";
import { type Import, readSource, type Source, type Word } from "./source.ts";

/** What is wrong, and where. */
export interface Violation {
  path: string;
  line: number;
  sentence: string;
}

const MAX_LINES = 400;
const MAX_FILES = 7;
const TIMERS = ["setTimeout", "setInterval", "queueMicrotask", "setImmediate"];
const IMPURE = ["async", "await", "Promise", "Deno", "Date", "performance", "Math.random", "crypto", ...TIMERS];
const RUNTIMES = ["Deno", "process", "Bun", "Buffer", "require"];
const VERBS = /^(HELLO|AUTH|PING|PONG|QUIT|RESET|CLIENT|PUBSUB|S?PUBLISH|[SP]?(UN)?SUBSCRIBE)$/;

/** Every violation of every rule, in order of path and line. */
export function checkLayers(files: readonly Source[]): Violation[] {
  const rules = [imports, purity, runtimes, wire, timers, surface, sizes, mirrors, orphans];
  return rules.flatMap((rule) => [...rule(files)])
    .sort((a, b) => a.path < b.path ? -1 : a.path > b.path ? 1 : a.line - b.line);
}

function* imports(files: readonly Source[]): Generator<Violation> {
  for (const { path, imports } of files.filter(isProduct)) {
    const layer = walls.LAYERS.find((layer) => walls.matches(path, layer.holds));
    if (layer === undefined) {
      yield { path, line: 1, sentence: "The file belongs to no layer: give it a row in scripts/layers.ts" };
      continue;
    }
    for (const { target, line, typeOnly } of imports) {
      if (target.startsWith("node:")) {
        if (walls.matches(path, walls.NODE_TYPES) && typeOnly) continue;
        if (!walls.matches(path, walls.NODE_BUILTINS)) {
          yield { path, line, sentence: `Only ${walls.NODE_BUILTINS.join(", ")} may import node: modules: ${target}` };
        }
      } else if (!walls.matches(target, layer.imports)) {
        const allowed = walls.matches(target, layer.types ?? []);
        if (allowed && typeOnly) continue;
        yield {
          path,
          line,
          sentence: `Layer ${layer.name} may ${allowed ? "import only types from" : "not import"}: ${target}`,
        };
      }
    }
  }
}

function* purity(files: readonly Source[]): Generator<Violation> {
  for (const { path, words } of files.filter(({ path }) => walls.matches(path, walls.PURE))) {
    for (const { text, line } of banned(words, IMPURE)) {
      yield { path, line, sentence: `A pure file must not contain: ${text}` };
    }
  }
}

function* runtimes(files: readonly Source[]): Generator<Violation> {
  for (const { path, words } of files.filter(isProduct)) {
    if (walls.matches(path, walls.RUNTIME_NAMES) || walls.matches(path, walls.PURE)) continue;
    for (const { text, line } of banned(words, RUNTIMES)) {
      yield { path, line, sentence: `Only a leaf of src/transport or the CLI may name a runtime: ${text}` };
    }
  }
}

function* wire(files: readonly Source[]): Generator<Violation> {
  for (const { path, literals } of files) {
    for (const { text, line } of literals) {
      if (walls.matches(path, walls.NO_WIRE) && text.includes("\r\n")) {
        yield {
          path,
          line,
          sentence: `Only resp, protocol and broker may know the wire format: ${JSON.stringify(text)}`,
        };
      }
      if (walls.matches(path, walls.NO_VERBS) && VERBS.test(text)) {
        yield { path, line, sentence: `A transport must not know a verb: ${text}` };
      }
    }
  }
}

function* timers(files: readonly Source[]): Generator<Violation> {
  for (const { path, words } of files.filter(({ path }) => walls.matches(path, walls.NO_TIMERS))) {
    for (const { text, line } of banned(words, TIMERS)) {
      yield { path, line, sentence: `This layer has no timer of its own: ${text}` };
    }
  }
}

function* surface(files: readonly Source[]): Generator<Violation> {
  for (const { path, runtimeLine } of files) {
    if (path === "mod.ts" && runtimeLine > 0) {
      yield { path, line: runtimeLine, sentence: "The public surface re-exports and holds no code of its own" };
    }
  }
}

function* sizes(files: readonly Source[]): Generator<Violation> {
  for (const { path, lines } of files) {
    if (lines > MAX_LINES) {
      yield { path, line: MAX_LINES + 1, sentence: `A file has at most ${MAX_LINES} lines: ${lines}` };
    }
  }
  const folders = Map.groupBy(files.filter(isProduct), ({ path }) => dirname(path));
  for (const [folder, { length }] of folders) {
    if (length > MAX_FILES) {
      yield { path: folder, line: 1, sentence: `A folder of src has at most ${MAX_FILES} files: ${length}` };
    }
  }
}

/** A file that does something has a test. Files of types and of re-exports do nothing. */
function* mirrors(files: readonly Source[]): Generator<Violation> {
  const tests = files.map(({ path }) => path).filter(isTest);
  for (const { path, runtimeLine } of files.filter(isProduct)) {
    if (runtimeLine === 0) continue;
    const elsewhere = walls.TESTED_ELSEWHERE.filter(({ sources }) => walls.matches(path, [sources]));
    if (tests.some((test) => testsSource(test, path)) || elsewhere.some(({ test }) => tests.includes(test))) continue;
    const wanted = [
      path.replace(/^src\//, "tests/").replace(/\.ts$/, "_test.ts"),
      ...elsewhere.map(({ test }) => test),
    ];
    yield { path, line: 1, sentence: `The file has no test: ${wanted.join(" or ")}` };
  }
}

function* orphans(files: readonly Source[]): Generator<Violation> {
  const sources = files.map(({ path }) => path).filter((path) => !isTest(path));
  for (const { path } of files) {
    if (!isTest(path) || walls.matches(path, walls.FREE_TESTS)) continue;
    if (!sources.some((source) => testsSource(path, source))) {
      yield { path, line: 1, sentence: "The test has no source of its name" };
    }
  }
}

/** `tests/client/hub_test.ts` tests `src/client/hub.ts`, and so does `tests/client/hub_fan_out_test.ts`. */
function testsSource(test: string, source: string): boolean {
  const mirrored = source.startsWith("src/") ? source.replace("src/", "tests/") : `tests/${source}`;
  const stem = mirrored.replace(/\.ts$/, "_");
  return dirname(test) === dirname(mirrored) && test.startsWith(stem);
}

function* banned(words: readonly Word[], list: readonly string[]): Generator<Word> {
  for (const word of words) {
    if (list.includes(word.text) || list.includes(word.text.replace(/^(globalThis|self|window)\./, ""))) yield word;
  }
}

function isProduct({ path }: Source): boolean {
  return path === "mod.ts" || path.startsWith("src/");
}

function isTest(path: string): boolean {
  return path.startsWith("tests/") && path.endsWith("_test.ts");
}

const FOLDERS = ["src", "tests", "scripts", "bench", "examples"];

/** Reads every TypeScript file of the project, with the imports of the product as Deno resolves them. */
export async function readProject(root: string): Promise<Source[]> {
  const paths = (await Promise.all(FOLDERS.map((folder) => list(root, folder)))).flat();
  if (await exists(resolve(root, "mod.ts"))) paths.unshift("mod.ts");
  const graph = await resolveImports(root, paths.filter((path) => path === "mod.ts" || path.startsWith("src/")));
  return await Promise.all(paths.map(async (path) => {
    return readSource(path, await Deno.readTextFile(resolve(root, path)), graph.get(path) ?? []);
  }));
}

async function list(root: string, folder: string): Promise<string[]> {
  const found: string[] = [];
  if (!await exists(resolve(root, folder))) return found;
  for await (const { name, isDirectory } of Deno.readDir(resolve(root, folder))) {
    const path = `${folder}/${name}`;
    if (isDirectory) found.push(...await list(root, path));
    else if (name.endsWith(".ts")) found.push(path);
  }
  return found.sort();
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

interface Span {
  specifier?: string;
  error?: string;
  span: { start: { line: number } };
}

interface Graph {
  modules: { specifier: string; dependencies?: { specifier: string; code?: Span; type?: Span }[] }[];
}

/** Asks `deno info` for all files at once, by way of an entry point that imports each. */
async function resolveImports(root: string, paths: readonly string[]): Promise<Map<string, Import[]>> {
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(
      entry,
      paths.map((path) => `import ${JSON.stringify(pathToFileURL(resolve(root, path)))};\n`).join(""),
    );
    const command = new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", entry],
      cwd: root,
      stderr: "inherit",
    });
    const { success, stdout } = await command.output();
    if (!success) throw new Error("Cannot read the module graph: deno info failed");
    const graph: Graph = JSON.parse(new TextDecoder().decode(stdout));
    return new Map(graph.modules.map(({ specifier, dependencies = [] }) => [
      inProject(root, specifier),
      dependencies.map(({ specifier, code, type }) => ({
        target: inProject(root, (code ?? type)?.specifier ?? specifier),
        line: ((code ?? type)?.span.start.line ?? 0) + 1,
        typeOnly: code === undefined,
      })),
    ]));
  } finally {
    await Deno.remove(entry);
  }
}

function inProject(root: string, specifier: string): string {
  return specifier.startsWith("file:") ? relative(root, fileURLToPath(specifier)) : specifier;
}

if (import.meta.main) {
  const root = resolve(import.meta.dirname ?? ".", "..");
  const files = await readProject(root);
  const table = await Deno.readTextFile(resolve(root, TABLE));
  const violations = [...checkLayers(files), ...checkRequirements(table, files)];
  for (const { path, line, sentence } of violations) console.error(`${path}:${line}: ${sentence}`);
  console.log(`${files.length} files, ${violations.length} violations`);
  if (violations.length > 0) Deno.exit(1);
}
