/**
 * Programs in C, built when the machine has a compiler and the libraries; nothing is ever installed.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { BUILD, output } from "./runtimes.ts";

/** A program that was built, or what it takes to build it. */
export type Native = { readonly command: readonly string[] } | { readonly missing: string };

/** What a program in C needs. */
export interface NativeOptions {
  /** Links with hiredis. @default {false} */
  readonly hiredis?: boolean;
}

/** Builds `native/NAME.c`. */
export async function buildNative(name: string, { hiredis = false }: NativeOptions = {}): Promise<Native> {
  const compiler = await output("cc", ["--version"]).then(() => "cc", () => undefined);
  if (compiler === undefined) return { missing: "there is no C compiler (`cc`) on the PATH" };
  if (hiredis && await hiredisVersion() === undefined) {
    return { missing: "the headers of hiredis are not here (Debian: `libhiredis-dev`)" };
  }
  await Deno.mkdir(BUILD, { recursive: true });
  const source = fileURLToPath(new URL(`native/${name}.c`, import.meta.url));
  const program = fileURLToPath(new URL(`${name}.bin`, BUILD));
  await output(compiler, ["-O2", "-Wall", "-Wextra", "-o", program, source, ...(hiredis ? ["-lhiredis"] : [])]);
  return { command: [program] };
}

/** The version of hiredis that programs are built with; undefined when its headers or `cc` are not here. */
export async function hiredisVersion(): Promise<string | undefined> {
  const probe = await Deno.makeTempFile({ suffix: ".c" });
  try {
    await Deno.writeTextFile(probe, "#include <hiredis/hiredis.h>\nv HIREDIS_MAJOR HIREDIS_MINOR HIREDIS_PATCH\n");
    const text = await output("cc", ["-E", "-P", probe]);
    return /v (\d+) (\d+) (\d+)$/.exec(text)?.slice(1).join(".");
  } catch {
    return undefined;
  } finally {
    await Deno.remove(probe);
  }
}
