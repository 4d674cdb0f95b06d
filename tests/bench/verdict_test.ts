import { assertEquals, assertStringIncludes } from "@std/assert";
import { times } from "../../bench/spread.ts";
import { type Aim, judge, summaryTable, tally } from "../../bench/verdict.ts";
import { test } from "../support/test.ts";

function aim(is: Aim["is"], what = "ratio"): Aim {
  return { what, limit: 1, is, format: times };
}

test("A target is judged by the median, and met by what is just enough", () => {
  for (
    const [is, rounds, isMet] of [
      ["at least", [0.5, 1, 9], true],
      ["at least", [0.5, 0.99, 9], false],
      ["at most", [0.1, 1, 2], true],
      ["at most", [0.1, 1.01, 2], false],
      ["at most", [1, 1.5], false],
    ] as const
  ) {
    assertEquals(judge(aim(is), "Deno", rounds).map((one) => one.isMet), [isMet], `${is} ${rounds}`);
  }
});

test("Rounds that failed do not count, and where all did there is nothing to judge", () => {
  const [verdict] = judge(aim("at least"), "Node", [undefined, 2, undefined]);
  assertEquals(verdict, {
    what: "ratio",
    target: "at least 1.00×",
    runtime: "Node",
    measured: "2.00×",
    isMet: true,
    floor: undefined,
  });
  assertEquals(judge(aim("at least"), "Node", [undefined, NaN]), []);
});

test("The summary has a row for each target, a dash for who was not measured, and a word for what is missed", () => {
  const verdicts = [
    ...judge(aim("at least"), "Deno", [2]),
    ...judge(aim("at least"), "Bun", [0.5]),
    ...judge(aim("at least", "other"), "Bun", [1]),
  ];
  const rows = summaryTable(verdicts).split("\n").map((row) => row.split("|").map((cell) => cell.trim()).slice(1, -1));
  assertEquals(rows[0], ["what", "target", "Deno", "Node", "Bun"]);
  assertEquals(rows.slice(2), [
    ["ratio", "at least 1.00×", "2.00×", "–", "0.50×, **missed**"],
    ["other", "at least 1.00×", "–", "–", "1.00×"],
  ]);
  assertEquals(tally(verdicts), "2 of 3 are met.");
});

test("What is missed by the floor, too, says so", () => {
  const table = (rounds: number[], floor: number[]) => summaryTable(judge(aim("at least"), "Bun", rounds, floor));
  for (
    const [rounds, floor, cell] of [
      [[0.5], [0.9], "0.50×, **missed**, floor 0.90×"],
      [[0.5], [1], "0.50×, **missed**"],
      [[0.5], [], "0.50×, **missed**"],
      [[1.5], [0.9], "1.50×"],
    ] as const
  ) {
    assertStringIncludes(table([...rounds], [...floor]), `| ${cell} `);
  }
  const verdicts = [
    ...judge(aim("at least"), "Bun", [0.5], [0.9]),
    ...judge(aim("at most"), "Bun", [2], [1.5]),
    ...judge(aim("at most"), "Node", [2], [1]),
  ];
  assertEquals(tally(verdicts), "0 of 3 are met; of the others 2 are beyond the floor.");
});
