import { assert, assertEquals } from "@std/assert";
import { listFiles } from "../../scripts/deno.ts";
import { shortSet } from "../../scripts/test_node.ts";
import { test } from "../support/test.ts";

test("Further runtimes run the contract, the live ways of a message, and README", async () => {
  const all = (await listFiles("tests")).filter((path) => path.endsWith("_test.ts"));
  const short = shortSet(all);
  for (const path of ["contract/node", "live/deliver", "live/readme", "live/reconnect", "live/cli"]) {
    assert(short.includes(`tests/${path}_test.ts`), path);
  }
  assertEquals(short.filter((path) => path.startsWith("tests/resp/")), []);
});
