import { assertEquals, assertThrows } from "@std/assert";
import { finishManifest, withoutShims } from "../../scripts/build_npm.ts";
import { test } from "../support/test.ts";

const EXPORTS = {
  ".": { types: "./types/mod.d.ts", import: "./esm/mod.js" },
  "./testing": "./src/testing/mod.js",
  "./cli": { default: "./src/cli/main.js" },
};

test("The manifest has entries with types, a command, and no dependency", () => {
  const manifest = finishManifest({ exports: EXPORTS });
  assertEquals(manifest.exports, {
    ".": { types: "./types/mod.d.ts", import: "./esm/mod.js", default: "./esm/mod.js" },
    "./testing": { types: "./src/testing/mod.d.ts", import: "./src/testing/mod.js", default: "./src/testing/mod.js" },
    "./cli": { types: "./src/cli/main.d.ts", import: "./src/cli/main.js", default: "./src/cli/main.js" },
  });
  assertEquals(manifest.bin, { earshot: "src/cli/main.js" });
  assertEquals(Object.keys(manifest).filter((key) => /dependencies|scripts/i.test(key)), []);
});

test("A manifest without one of the exports is refused", () => {
  const { "./cli": _, ...exports } = EXPORTS;
  assertThrows(() => finishManifest({ exports }), Error, "./cli");
});

test("Nothing of dnt's own is left in the code", () => {
  const code = [
    "/** What it is. */",
    'import "../../_dnt.polyfills.js";',
    'import * as dntShim from "../../_dnt.shims.js";',
    'import { a } from "./a.js";',
    'if ("Deno" in dntShim.dntGlobalThis) a();',
    "",
  ].join("\n");
  const clean = '/** What it is. */\nimport { a } from "./a.js";\nif ("Deno" in globalThis) a();\n';
  assertEquals(withoutShims(code), clean);
  assertEquals(withoutShims(clean), clean);
});
