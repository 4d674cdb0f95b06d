import { assertEquals } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { checkWorkflows, readWorkflows } from "../../scripts/check_workflows.ts";
import { test } from "../support/test.ts";

const GOOD = `
on: push
jobs:
  test:
    runs-on: ubuntu-latest
    timeout-minutes: 5
    steps:
      - run: npx -y deno task test
`;

async function sentences(text: string): Promise<string[]> {
  return (await checkWorkflows(new Map([[".github/workflows/x.yml", text]]), ["test"]))
    .map(({ line, sentence }) => `${line}: ${sentence}`);
}

test("The workflows have no mistake", async () => {
  const texts = await readWorkflows();
  assertEquals([...texts.keys()].sort(), [".github/workflows/ci.yml", ".github/workflows/publish.yml"]);
  assertEquals(await checkWorkflows(texts, Object.keys(config.tasks)), []);
});

test("What is wrong with a workflow is told with its line", async () => {
  assertEquals(await sentences(GOOD), []);
  assertEquals(await sentences(GOOD.replace("task test", "task tets")), ["8: There is no such task: tets"]);
  assertEquals(await sentences(GOOD.replace("    timeout-minutes: 5\n", "")), [
    "1: The job has no timeout-minutes: test",
  ]);
  const [unknown = ""] = await sentences(GOOD.replace("steps:", "stepz:"));
  assertEquals(/^4: "steps" section is missing in job "test"/.test(unknown) || unknown, true);
  const [context = ""] = await sentences(GOOD.replace("deno task test", "deno task test ${{ matrix.node }}"));
  assertEquals(/^8: .*"node" is not defined/.test(context) || context, true);
});

test("Both registries are published to with provenance, after the tests", async () => {
  const publish = (await readWorkflows()).get(".github/workflows/publish.yml") ?? "";
  assertEquals(publish.match(/id-token: write/g)?.length, 2);
  assertEquals(publish.match(/needs: \[test, version\]/g)?.length, 2);
  assertEquals([/npx -y deno publish$/m.test(publish), /npm publish .*--provenance/.test(publish)], [true, true]);
});
