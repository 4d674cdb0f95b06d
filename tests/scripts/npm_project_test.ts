import { assertEquals } from "@std/assert";
import { runsOnNode } from "../../scripts/npm_project.ts";
import { test } from "../support/test.ts";

test("Only the tests of the scripts, of Workers and of other transports stay away from Node", () => {
  const paths = [
    "tests/contract/deno_test.ts",
    "tests/contract/node_test.ts",
    "tests/contract/workers_test.ts",
    "tests/live/cli_test.ts",
    "tests/live/permissions_deno_test.ts",
    "tests/resp/reader_test.ts",
    "tests/scripts/junit_test.ts",
    "tests/workers/examples_test.ts",
  ];
  assertEquals(paths.filter(runsOnNode), [
    "tests/contract/node_test.ts",
    "tests/live/cli_test.ts",
    "tests/resp/reader_test.ts",
  ]);
});
