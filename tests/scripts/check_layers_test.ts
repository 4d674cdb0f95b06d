import { assertEquals } from "@std/assert";
import { checkLayers } from "../../scripts/check_layers.ts";
import { type Import, readSource } from "../../scripts/source.ts";
import { test } from "../support/test.ts";

interface File {
  text?: string;
  /** What it imports; a leading `type ` marks an import of types only. */
  imports?: readonly string[];
}

/** The violations of a small tree, as they are printed. Each source that does something gets its test. */
function violations(tree: Record<string, File>): string[] {
  return checkLayers(
    Object.entries(tree).map(([path, { text = "", imports = [] }]) => readSource(path, text, imports.map(toImport))),
  ).map(({ path, line, sentence }) => `${path}:${line}: ${sentence}`);
}

function toImport(written: string, index: number): Import {
  const typeOnly = written.startsWith("type ");
  return { target: typeOnly ? written.slice("type ".length) : written, line: index + 1, typeOnly };
}

const IMPORTS: [from: string, to: string, sentence: string | undefined][] = [
  ["src/errors.ts", "src/message.ts", "Layer errors may not import: src/message.ts"],
  ["src/event.ts", "type src/message.ts", undefined],
  ["src/endpoint.ts", "src/resp/reply.ts", "Layer base may not import: src/resp/reply.ts"],
  ["src/resp/reader.ts", "src/resp/reply.ts", undefined],
  ["src/resp/reader.ts", "src/protocol/kind.ts", "Layer resp may not import: src/protocol/kind.ts"],
  ["src/protocol/push.ts", "type src/message.ts", undefined],
  ["src/protocol/push.ts", "src/message.ts", "Layer protocol may import only types from: src/message.ts"],
  ["src/protocol/push.ts", "src/transport/transport.ts", "Layer protocol may not import: src/transport/transport.ts"],
  ["src/broker/broker.ts", "src/protocol/kind.ts", undefined],
  ["src/broker/broker.ts", "src/protocol/session.ts", "Layer broker may not import: src/protocol/session.ts"],
  ["src/transport/memory.ts", "src/resp/reader.ts", "Layer transport may not import: src/resp/reader.ts"],
  ["src/connection/link.ts", "src/transport/transport.ts", undefined],
  ["src/connection/link.ts", "src/topology/topology.ts", "Layer connection may not import: src/topology/topology.ts"],
  ["src/topology/topology.ts", "src/client/client.ts", "Layer topology may not import: src/client/client.ts"],
  ["src/stream/queue.ts", "src/errors.ts", "Layer stream may not import: src/errors.ts"],
  ["src/client/client.ts", "src/topology/topology.ts", undefined],
  ["src/client/client.ts", "src/broker/broker.ts", "Layer client may not import: src/broker/broker.ts"],
  ["src/client/client.ts", "npm:redis@5", "Layer client may not import: npm:redis@5"],
  ["src/testing/mod.ts", "src/broker/broker.ts", undefined],
  ["src/testing/mod.ts", "src/client/client.ts", "Layer testing may not import: src/client/client.ts"],
  ["src/cli/pub.ts", "mod.ts", undefined],
  ["src/cli/pub.ts", "src/errors.ts", "Layer cli may not import: src/errors.ts"],
  ["mod.ts", "src/client/client.ts", undefined],
  ["mod.ts", "src/broker/broker.ts", "Layer mod may not import: src/broker/broker.ts"],
  ["src/transport/node.ts", "type node:net", undefined],
  ["src/transport/node.ts", "node:net", "Only src/cli/ may import node: modules: node:net"],
  ["src/transport/deno.ts", "type node:net", "Only src/cli/ may import node: modules: node:net"],
  ["src/cli/pub.ts", "node:net", undefined],
  ["src/helpers/text.ts", "src/errors.ts", "The file belongs to no layer: give it a row in scripts/layers.ts"],
];

for (const [from, to, sentence] of IMPORTS) {
  test(`${from} ${sentence === undefined ? "may" : "may not"} import ${to}`, () => {
    assertEquals(violations({ [from]: { imports: [to] } }), sentence === undefined ? [] : [`${from}:1: ${sentence}`]);
  });
}

const WORDS: [path: string, code: string, words: string[]][] = [
  ["src/resp/x.ts", "type A = () => Promise<void>;", ["Promise"]],
  ["src/resp/x.ts", "declare const at: Date;", ["Date"]],
  ["src/connection/backoff.ts", "type A = typeof performance;", ["performance"]],
  ["src/connection/link.ts", "type A = Promise<Date>;", []],
  ["src/resp/x.ts", "/** Returns a Promise of a Date. */ type A = 'Date'; // await Promise", []],
  ["src/resp/x.ts", "interface A { Date: number; Promise(): string }", []],
];

for (const [path, code, words] of WORDS) {
  test(`${words.length === 0 ? "Nothing is" : words.join(", ") + " is"} impure in ${path}: ${code}`, () => {
    assertEquals(
      violations({ [path]: { text: code } }),
      words.map((word) => `${path}:1: A pure file must not contain: ${word}`),
    );
  });
}

const STATEMENTS: [code: string, words: string[]][] = [
  ["const now = Date.now();", ["Date"]],
  ["const n = Math.random();", ["Math.random"]],
  ["const n = Math['random']();", ["Math.random"]],
  ["const t = globalThis.setTimeout;", ["globalThis.setTimeout"]],
  ["async function f() { await g(); }", ["async", "await"]],
  ["for await (const x of y);", ["await"]],
  ["const v = `${Deno.version.deno}`;", ["Deno"]],
  ["const v = { Date };", ["Date"]],
  ["const v = x.Date; const w = { Date: 1 };", []],
  ["const v = `Date Promise ${1} await`; const w = /Date/;", []],
  ["const n = Math.floor(1);", []],
];

for (const [code, words] of STATEMENTS) {
  test(`${words.length === 0 ? "Nothing is" : words.join(", ") + " is"} impure: ${code}`, () => {
    const found = violations({ "src/resp/x.ts": { text: code }, "tests/resp/x_test.ts": {} });
    assertEquals(found, words.map((word) => `src/resp/x.ts:1: A pure file must not contain: ${word}`));
  });
}

test("Only leaves and the CLI name a runtime", () => {
  const text = "\nconst v = Deno.build, w = process.pid;";
  assertEquals(violations({ "src/client/x.ts": { text }, "tests/client/x_test.ts": {} }), [
    "src/client/x.ts:2: Only a leaf of src/transport or the CLI may name a runtime: Deno",
    "src/client/x.ts:2: Only a leaf of src/transport or the CLI may name a runtime: process",
  ]);
  assertEquals(violations({ "src/transport/deno.ts": { text }, "tests/contract/deno_test.ts": {} }), []);
});

test("Transports know no verb, and nobody above the protocol knows the wire format", () => {
  const text = 'const a = "PING"; const b = `${a}\\r\\n`;';
  assertEquals(violations({ "src/transport/x.ts": { text }, "tests/transport/x_test.ts": {} }), [
    "src/transport/x.ts:1: A transport must not know a verb: PING",
    'src/transport/x.ts:1: Only resp, protocol and broker may know the wire format: "\\r\\n"',
  ]);
  assertEquals(violations({ "src/protocol/x.ts": { text }, "tests/protocol/x_test.ts": {} }), []);
});

test("A topology has no timer", () => {
  const text = "setTimeout(f, 1);";
  assertEquals(violations({ "src/topology/x.ts": { text }, "tests/topology/x_test.ts": {} }), [
    "src/topology/x.ts:1: This layer has no timer of its own: setTimeout",
  ]);
});

test("The public surface holds no code", () => {
  const text = 'export { a } from "./src/errors.ts";\nexport type B = string;\nexport const c = 1;';
  assertEquals(violations({ "mod.ts": { text }, "tests/mod_test.ts": {} }), [
    "mod.ts:3: The public surface re-exports and holds no code of its own",
  ]);
});

test("A file has at most 400 lines, tests and scripts too", () => {
  for (const path of ["src/errors.ts", "tests/live/x_test.ts", "scripts/x.ts"]) {
    assertEquals(violations({ [path]: { text: "\n".repeat(400) } }), []);
    assertEquals(violations({ [path]: { text: "\n".repeat(401) } }), [
      `${path}:401: A file has at most 400 lines: 401`,
    ]);
  }
});

test("A folder of src has at most seven files, a folder of tests any number", () => {
  const files = (folder: string, count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`${folder}/a${index}.ts`, {}]));
  assertEquals(violations(files("src/resp", 7)), []);
  assertEquals(violations(files("src/resp", 8)), ["src/resp:1: A folder of src has at most 7 files: 8"]);
  assertEquals(violations(files("tests/resp", 8)), []);
});

test("What does something has a test, what only declares and re-exports needs none", () => {
  const code = "export const a = 1;";
  assertEquals(violations({ "src/resp/x.ts": { text: code } }), [
    "src/resp/x.ts:1: The file has no test: tests/resp/x_test.ts",
  ]);
  assertEquals(violations({ "src/resp/x.ts": { text: code }, "tests/resp/x_limits_test.ts": {} }), []);
  assertEquals(violations({ "src/cli/x.ts": { text: code } }), [
    "src/cli/x.ts:1: The file has no test: tests/cli/x_test.ts or tests/live/cli_test.ts",
  ]);
  assertEquals(violations({ "src/cli/x.ts": { text: code }, "tests/live/cli_test.ts": {} }), []);
  const types = 'import type { B } from "./b.ts";\nexport type A = B;\nexport interface C {}\nexport * from "./b.ts";';
  assertEquals(violations({ "src/resp/x.ts": { text: types } }), []);
});

test("A test has a source, except in the folders that mirror none", () => {
  assertEquals(violations({ "tests/resp/x_test.ts": {}, "tests/scripts/y_test.ts": {}, "tests/live/z_test.ts": {} }), [
    "tests/resp/x_test.ts:1: The test has no source of its name",
    "tests/scripts/y_test.ts:1: The test has no source of its name",
  ]);
  assertEquals(violations({ "tests/scripts/y_test.ts": {}, "scripts/y.ts": { text: "f();" } }), []);
});
