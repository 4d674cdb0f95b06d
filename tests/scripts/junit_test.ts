import { assertEquals } from "@std/assert";
import { closingLine, countJUnit, judge, sum } from "../../scripts/junit.ts";
import { test } from "../support/test.ts";

const DENO = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="4" failures="1" errors="0" time="0.1">
    <testsuite name="./a_test.ts" tests="4" disabled="1" errors="0" failures="1">
        <testcase name="fails &lt;testcase name=&quot;x&quot;/&gt;" classname="./a_test.ts" time="0.001" line="1" col="6">
            <failure message="Uncaught Error: x
]]&gt;y">Error: x &lt;skipped/&gt;</failure>
        </testcase>
        <testcase name="passes" classname="./a_test.ts" time="0.000" line="2" col="6">
        </testcase>
        <testcase name="waits (skipped: no server)" classname="./a_test.ts" time="0.000" line="3" col="6">
            <skipped/>
        </testcase>
    </testsuite>
</testsuites>`;

const NODE = `<?xml version="1.0" encoding="utf-8"?>
<testsuites>
	<testcase name="passes > 1" time="0.001" classname="test"/>
	<testsuite name="suite" tests="1">
		<testcase name="fails" time="0.002" classname="test" failure="x">
			<failure type="testCodeFailure" message="x">Error</failure>
		</testcase>
	</testsuite>
	<testcase name="waits" time="0.000" classname="test">
		<skipped type="skipped" message="no &apos;server&apos;"/>
	</testcase>
	<!-- tests 3 -->
</testsuites>`;

test("The report of Deno is counted", () => {
  assertEquals(countJUnit(DENO), {
    passed: 1,
    failed: 1,
    failures: ['fails <testcase name="x"/>: Uncaught Error: x'],
    skipped: ["waits (skipped: no server)"],
  });
});

test("The report of Node is counted", () => {
  assertEquals(countJUnit(NODE), {
    passed: 1,
    failed: 1,
    failures: ["fails: x"],
    skipped: ["waits (skipped: no 'server')"],
  });
});

const PASSED = '<testcase name="a"/>';
const FAILED = '<testcase name="a"><failure/></testcase>';
const SKIPPED = '<testcase name="a"><skipped/></testcase>';

const JUDGED: [what: string, ok: boolean, xml: string, failed: number][] = [
  ["a good run", true, PASSED, 0],
  ["a run of skipped tests", true, SKIPPED, 0],
  ["a failed test", false, PASSED + FAILED, 1],
  ["a runner that fails though its tests pass", false, PASSED, 1],
  ["a run without a test", true, "<testsuites/>", 1],
  ["a run without a report", false, "", 1],
];

for (const [what, ok, xml, failed] of JUDGED) {
  test(`Failures of ${what}: ${failed}`, () => assertEquals(judge(ok, xml).failed, failed));
}

test("The closing line has the totals, and the skipped only where there are some", () => {
  const run = { passed: 2, failed: 1, failures: ["a"], skipped: [] };
  assertEquals(closingLine(run), "2 passed, 1 failed");
  assertEquals(closingLine(sum([run, { ...run, skipped: ["a"] }])), "4 passed, 2 failed, 1 skipped");
});
