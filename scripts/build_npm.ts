/**
 * Builds the npm package: `deno task npm [FOLDER]`. With dnt where JSR can be reached, else with `deno pack`; both give
 * ES modules with declarations, no shim and no dependency, and get the same package.json here.
 *
 * @module
 */

import { stop, transform } from "esbuild";
import { resolve } from "node:path";
import config from "../deno.json" with { type: "json" };
import { deno, jsrAnswers, npmProgram, ROOT, run } from "./deno.ts";

/** What builds: the one that needs JSR, or Deno itself. */
export type Builder = "dnt" | "pack";

/** How to build. */
export interface BuildOptions {
  /** Where the tarball goes. */
  folder: string;
  builder: Builder;
}

/** What was built. */
export interface Built {
  tarball: string;
  /** The files in it. */
  files: readonly string[];
}

type Conditions = Record<"types" | "import" | "default", string>;

/** The part of a package.json that both builders write. */
export interface Manifest {
  exports: Record<string, string | Partial<Conditions>>;
}

/** The part of dnt that is used here; the package itself is only loaded where it is to be had. */
interface Dnt {
  emptyDir(path: string): Promise<void>;
  build(options: {
    entryPoints: { name: string; path: string }[];
    outDir: string;
    package: { name: string; version: string };
    shims: Record<string, never>;
    declaration: "inline";
    compilerOptions: { target: "ES2022"; lib: ("ESNext" | "DOM" | "DOM.Iterable")[] };
    scriptModule: false;
    typeCheck: false;
    test: false;
    skipNpmInstall: true;
    skipSourceOutput: true;
  }): Promise<void>;
}

const DNT: string = "@deno/dnt";
const DNT_FILE = /[/\\]_dnt\.[^/\\]*$/;
const DOCUMENTS = ["README.md", "CHANGELOG.md", "LICENSE"];
const NODE = "node20";
const SHEBANG = "#!/usr/bin/env node\n";

/** Builds the package and packs it into a tarball. */
export async function buildNpm({ folder, builder }: BuildOptions): Promise<Built> {
  const stage = await Deno.makeTempDir({ prefix: "earshot-npm-" });
  try {
    return await buildIn(stage, folder, builder);
  } finally {
    await Deno.remove(stage, { recursive: true });
  }
}

async function buildIn(stage: string, folder: string, builder: Builder): Promise<Built> {
  await Deno.mkdir(folder, { recursive: true });
  const root = builder === "dnt" ? await buildWithDnt(stage) : await buildWithPack(stage);
  for (const document of DOCUMENTS) await Deno.copyFile(resolve(ROOT, document), resolve(root, document));
  const path = resolve(root, "package.json");
  const manifest = finishManifest(JSON.parse(await Deno.readTextFile(path)));
  await Deno.writeTextFile(path, `${JSON.stringify(manifest, null, 2)}\n`);
  await addShebang(resolve(root, manifest.bin.earshot));
  const [packed] = JSON.parse(
    await npm(["pack", "--json", "--ignore-scripts", "--pack-destination", folder], root),
  ) as {
    filename: string;
    files: { path: string }[];
  }[];
  if (packed === undefined) throw new Error("Cannot pack the npm package: npm named no file");
  const filename = packed.filename.replace(/^@/, "").replaceAll("/", "-");
  return { tarball: resolve(folder, filename), files: packed.files.map(({ path }) => path) };
}

/** The package.json that is published: what a builder wrote, without what only builders need. */
export function finishManifest(
  { exports }: Manifest,
): Required<Manifest> & { bin: { earshot: string } } & Record<string, unknown> {
  const entry = (name: string): Conditions => {
    const conditions = exports[name];
    const code = typeof conditions === "string" ? conditions : conditions?.import ?? conditions?.default;
    if (code === undefined) throw new Error(`Cannot find an export of the npm package: ${name}`);
    const types = typeof conditions === "string" ? undefined : conditions?.types;
    return { types: types ?? code.replace(/\.js$/, ".d.ts"), import: code, default: code };
  };
  const entries = Object.fromEntries(Object.keys(config.exports).map((name) => [name, entry(name)]));
  const { types, import: main } = entry(".");
  return {
    name: config.name,
    version: config.version,
    description: "Redis Pub/Sub as a web stream that never goes quiet without telling you",
    keywords: ["redis", "valkey", "pubsub", "stream", "whatwg"],
    license: config.license,
    type: "module",
    engines: { node: ">=20.16" },
    sideEffects: [entry("./cli").import],
    main,
    types,
    exports: entries,
    bin: { earshot: entry("./cli").import.replace(/^\.\//, "") },
  };
}

async function buildWithDnt(stage: string): Promise<string> {
  const { build, emptyDir }: Dnt = await import(DNT);
  await emptyDir(stage);
  await build({
    entryPoints: Object.entries(config.exports).map(([name, path]) => ({ name, path: resolve(ROOT, path) })),
    outDir: stage,
    package: { name: config.name, version: config.version },
    shims: {},
    declaration: "inline",
    compilerOptions: { target: "ES2022", lib: ["ESNext", "DOM", "DOM.Iterable"] },
    scriptModule: false,
    // `deno check` has seen the sources, and the Node suite runs on the packed package: see test_node.ts.
    typeCheck: false,
    test: false,
    skipNpmInstall: true,
    skipSourceOutput: true,
  });
  await eachFile(stage, async (path) => {
    if (DNT_FILE.test(path)) await Deno.remove(path);
    else if (/\.(js|d\.ts)$/.test(path)) await Deno.writeTextFile(path, withoutShims(await Deno.readTextFile(path)));
  });
  return stage;
}

/** Takes out what dnt adds, with no shim asked for: a proxy of `globalThis`, and polyfills of what every Node here has. */
export function withoutShims(code: string): string {
  return code.replace(/^import (\* as dntShim from )?"[^"]*_dnt\.(shims|polyfills)\.js";\r?\n/gm, "")
    .replaceAll("dntShim.dntGlobalThis", "globalThis");
}

async function buildWithPack(stage: string): Promise<string> {
  const tarball = resolve(stage, "packed.tgz");
  // Source maps would carry every source a second time, with paths of this machine.
  const packed = await deno(["pack", "--allow-dirty", "--no-source-maps", "--output", tarball]);
  if (!packed.ok) throw new Error(`Cannot pack the npm package: ${packed.output}`);
  const unpacked = await run("tar", ["-xzf", tarball, "-C", stage]);
  if (!unpacked.ok) throw new Error(`Cannot unpack the npm package: ${unpacked.output}`);
  const root = resolve(stage, "package");
  try {
    await finishCode(root);
  } finally {
    await stop();
  }
  return root;
}

/**
 * Lowers the code to the oldest Node that is supported, as `deno pack` leaves `using` as it is, and removes the
 * TypeScript files that it adds though no entry point reaches them.
 */
async function finishCode(folder: string): Promise<void> {
  await eachFile(folder, async (path) => {
    if (path.endsWith(".ts") && !path.endsWith(".d.ts")) await Deno.remove(path);
    else if (path.endsWith(".js")) {
      const { code } = await transform(await Deno.readTextFile(path), { target: NODE, format: "esm", charset: "utf8" });
      await Deno.writeTextFile(path, code);
    }
  });
}

async function eachFile(folder: string, visit: (path: string) => Promise<void>): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = resolve(folder, name);
    await (isDirectory ? eachFile(path, visit) : visit(path));
  }
}

/** It is not in the source, as dnt cannot read one. */
async function addShebang(path: string): Promise<void> {
  await Deno.writeTextFile(path, SHEBANG + await Deno.readTextFile(path));
  if (Deno.build.os !== "windows") await Deno.chmod(path, 0o755);
}

async function npm(args: readonly string[], cwd: string): Promise<string> {
  const command = new Deno.Command(npmProgram("npm"), { args: [...args], cwd, stdin: "null", stderr: "piped" });
  const { success, stdout, stderr } = await command.output();
  if (!success) throw new Error(`Cannot run npm ${args[0]}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

if (import.meta.main) {
  const builder = await jsrAnswers() ? "dnt" : "pack";
  console.log(builder === "dnt" ? "JSR answers: building with dnt" : "JSR does not answer: building with deno pack");
  const { tarball, files } = await buildNpm({ folder: resolve(ROOT, Deno.args[0] ?? "npm"), builder });
  console.log(`${tarball}: ${files.length} files`);
}
