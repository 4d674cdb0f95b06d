import { assertEquals } from "@std/assert";
import { checkRequirements } from "../../scripts/check_requirements.ts";
import { readSource } from "../../scripts/source.ts";
import { test } from "../support/test.ts";

const FILES = [
  readSource("tests/a_test.ts", 'test("it works", () => {}); test(`${kind} is kept: ${name}`, () => {});', []),
  readSource("tests/b_test.ts", 'test("it ends", () => {});', []),
];

function violations(...rows: readonly string[]): string[] {
  const table = ["| line | what | file | test |", "| --- | --- | --- | --- |", ...rows, ""].join("\n");
  return checkRequirements(table, FILES, [1, 2]).map(({ line, sentence }) => `${line}: ${sentence}`);
}

test("A table whose tests exist, a name with values in it among them, is well", () => {
  assertEquals(
    violations("| 1 | words | a_test.ts | it works |", "| 2    |  | a_test.ts | ${kind} is kept: ${name}   |"),
    [],
  );
});

test("A test that has another name, stands in another file, or whose file is gone is told", () => {
  assertEquals(
    violations(
      "| 1 | words | a_test.ts | it worked |",
      "| 1 |  | a_test.ts | it ends |",
      "| 2 |  | a_test.ts | ${kind} is lost: ${name} |",
      "| 2 |  | c_test.ts | it works |",
    ),
    [
      "3: There is no such test in a_test.ts: it worked",
      "4: There is no such test in a_test.ts: it ends",
      "5: There is no such test in a_test.ts: ${kind} is lost: ${name}",
      "6: There is no such test in c_test.ts: it works",
    ],
  );
});

test("A line without a test is told", () => {
  assertEquals(violations("| 2 | words | b_test.ts | it ends |"), ["1: A line has no test: 1"]);
});
