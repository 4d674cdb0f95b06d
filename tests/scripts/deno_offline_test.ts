import { assertEquals } from "@std/assert";
import online from "../../deno.json" with { type: "json" };
import { listFiles, ROOT } from "../../scripts/deno.ts";
import offline from "../support/offline.json" with { type: "json" };
import * as assertions from "../support/std/assert.ts";
import * as waiting from "../support/std/async.ts";
import { test } from "../support/test.ts";

/** Every name that a test imports from a package. */
async function imported(specifier: string): Promise<Set<string>> {
  const statement = new RegExp(`import \\{([^}]*)\\} from "${specifier}"`, "g");
  const texts = await Promise.all((await listFiles("tests")).map((path) => Deno.readTextFile(`${ROOT}/${path}`)));
  const lists = texts.flatMap((text) => [...text.matchAll(statement)].map(([, list = ""]) => list));
  return new Set(lists.flatMap((list) => list.split(",").map((name) => name.trim().replace(/^type /, ""))));
}

for (const [specifier, standIn] of [["@std/assert", assertions], ["@std/async", waiting]] as const) {
  test(`The stand-in for ${specifier} exports nothing that no test imports`, async () => {
    const used = await imported(specifier);
    assertEquals(Object.keys(standIn).filter((name) => !used.has(name)), []);
  });
}

test("With and without JSR the same versions come from npm", () => {
  const fromNpm = ({ imports }: { imports: Record<string, string> }) =>
    Object.fromEntries(Object.entries(imports).filter(([, target]) => target.startsWith("npm:")).sort());
  assertEquals(fromNpm(offline), fromNpm(online));
});

test("Without JSR every package of JSR that a test may import has a stand-in", () => {
  const fromJsr = Object.entries(online.imports).filter(([, target]) => target.startsWith("jsr:"));
  const needed = fromJsr.map(([name]) => name).filter((name) => name !== "@deno/dnt");
  assertEquals(needed.filter((name) => !Object.hasOwn(offline.imports, name)), []);
});
