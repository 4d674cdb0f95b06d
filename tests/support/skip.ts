import { test } from "./test.ts";

/** Registers a test, or says in the report why it is not run here. */
export function testUnless(reason: string | undefined, name: string, body: () => void | Promise<void>): void {
  if (reason === undefined) return test(name, body);
  const title = `${name} (skipped: ${reason})`;
  if ("Deno" in globalThis) return Deno.test({ name: title, ignore: true, fn: body });
  void import("node:test").then((node) => node.test(title, { skip: reason }, body));
}
