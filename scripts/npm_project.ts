/**
 * An empty project with the npm package installed from its tarball, as a user has it, and the suite beside it. Tests of
 * the public surface import the installed package; tests of single files carry the sources that they test.
 *
 * @module
 */

import { build, stop } from "esbuild";
import { basename, resolve } from "node:path";
import config from "../deno.json" with { type: "json" };
import { findServer } from "../tests/support/redis_server.ts";
import { type Builder, buildNpm } from "./build_npm.ts";
import { npmInstall, ROOT } from "./deno.ts";
import { MIN_NODE } from "./runtimes.ts";

/** What tests start as programs of their own. */
const PROGRAMS = ["tests/support/leftovers.ts"];

/** What to install, and which tests come along. */
export interface ProjectOptions {
  /** Tests that cannot run outside Deno are left out, see {@linkcode runsOnNode}. */
  tests: readonly string[];
  /** A tarball that is there already, or what to build one with. */
  artefact: { tarball: string } | { builder: Builder };
}

/** Whether a test file can run on Node: not those that run or drive programs from Deno, nor those of other transports. */
export function runsOnNode(path: string): boolean {
  return !["tests/scripts/", "tests/workers/"].some((folder) => path.startsWith(folder)) &&
    !/deno_test\.ts$|^workers_test\.ts$/.test(basename(path));
}

/** The project; its folder goes when it is disposed. */
export class NpmProject implements AsyncDisposable {
  readonly folder: string;
  readonly tarball: string;
  /** The paths of the tests in the sources; in the project they end in `.mjs`. */
  readonly tests: readonly string[];

  private constructor(folder: string, tarball: string, tests: readonly string[]) {
    this.folder = folder;
    this.tarball = tarball;
    this.tests = tests;
  }

  /** @throws {Error} with what the failing program printed */
  static async create({ tests, artefact }: ProjectOptions): Promise<NpmProject> {
    const folder = await Deno.makeTempDir({ prefix: "earshot-project-" });
    try {
      const { tarball } = "tarball" in artefact ? artefact : await buildNpm({ folder, ...artefact });
      const project = new NpmProject(folder, resolve(tarball), tests.filter(runsOnNode));
      await Deno.writeTextFile(resolve(folder, "package.json"), '{ "private": true, "type": "module" }\n');
      const packages = [project.tarball, spec("fast-check")];
      if ((await findServer()).kind === "container") packages.push(spec("testcontainers"));
      const installed = await npmInstall(folder, packages);
      if (!installed.ok) throw new Error(`Cannot install the npm package: ${installed.output}`);
      await bundle(project);
      return project;
    } catch (error) {
      await Deno.remove(folder, { recursive: true });
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Bundles each test by itself. */
async function bundle({ folder, tests }: NpmProject): Promise<void> {
  try {
    await build({
      entryPoints: [...tests, ...PROGRAMS].map((path) => resolve(ROOT, path)),
      outbase: resolve(ROOT, "tests"),
      // As deep as in the sources, so that `../fixtures` is found.
      outdir: resolve(folder, "tests"),
      outExtension: { ".js": ".mjs" },
      bundle: true,
      platform: "node",
      format: "esm",
      target: `node${MIN_NODE}`,
      sourcemap: "inline",
      logLevel: "silent",
      external: [config.name, `${config.name}/*`, "fast-check", "testcontainers"],
      alias: {
        "@std/assert": resolve(ROOT, "tests/support/std/assert.ts"),
        "@std/async": resolve(ROOT, "tests/support/std/async.ts"),
      },
    });
  } finally {
    await stop();
  }
  await copy(resolve(ROOT, "tests/fixtures"), resolve(folder, "tests/fixtures"));
}

/** A development dependency as npm names it. */
function spec(name: keyof typeof config.imports): string {
  return config.imports[name].replace(/^npm:/, "");
}

async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copy(resolve(from, name), resolve(to, name));
    else await Deno.copyFile(resolve(from, name), resolve(to, name));
  }
}
