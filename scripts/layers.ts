/**
 * The walls of ARCHITECTURE.md as data: which file belongs to which layer, and what a layer may import.
 *
 * A pattern that ends with `/` stands for everything below that folder, any other for exactly that file.
 *
 * @module
 */

/** One row of the table of layers. */
export interface Layer {
  name: string;
  holds: readonly string[];
  /** What its files may import. A layer may import from its own folder only where this says so. */
  imports: readonly string[];
  /** What its files may also import, but types only. */
  types?: readonly string[];
}

const BASE = [
  "src/codec.ts",
  "src/endpoint.ts",
  "src/errors.ts",
  "src/event.ts",
  "src/message.ts",
  "src/name.ts",
  "src/ring.ts",
];
const BELOW_SUPERVISOR = [...BASE, "src/resp/", "src/run/", "src/protocol/", "src/transport/", "src/connection/"];
const BELOW_TOPOLOGY = [...BELOW_SUPERVISOR, "src/supervisor/"];
const BELOW_CLIENT = [...BELOW_TOPOLOGY, "src/topology/", "src/stream/", "src/delivery/"];

/** The first row that holds a file is the one that counts. */
export const LAYERS: readonly Layer[] = [
  { name: "errors", holds: ["src/errors.ts"], imports: [] },
  { name: "base", holds: BASE, imports: BASE },
  { name: "resp", holds: ["src/resp/"], imports: ["src/resp/", "src/errors.ts"] },
  {
    name: "run",
    holds: ["src/run/"],
    imports: ["src/run/", "src/protocol/kind.ts", "src/resp/", "src/codec.ts", "src/message.ts", "src/name.ts"],
  },
  {
    name: "protocol",
    holds: ["src/protocol/"],
    imports: ["src/protocol/", "src/run/", "src/resp/", "src/errors.ts", "src/name.ts", "src/ring.ts"],
    types: ["src/message.ts"],
  },
  {
    name: "broker",
    holds: ["src/broker/"],
    imports: [
      "src/broker/",
      "src/protocol/kind.ts",
      "src/name.ts",
      "src/resp/",
      "src/errors.ts",
    ],
    types: ["src/message.ts"],
  },
  {
    name: "transport",
    holds: ["src/transport/"],
    imports: ["src/transport/", "src/endpoint.ts", "src/errors.ts"],
  },
  { name: "connection", holds: ["src/connection/"], imports: BELOW_SUPERVISOR },
  { name: "supervisor", holds: ["src/supervisor/"], imports: BELOW_TOPOLOGY },
  { name: "topology", holds: ["src/topology/"], imports: [...BELOW_TOPOLOGY, "src/topology/"] },
  { name: "stream", holds: ["src/stream/"], imports: ["src/stream/", "src/ring.ts"] },
  {
    name: "delivery",
    holds: ["src/delivery/"],
    imports: [...BASE, "src/run/", "src/stream/", "src/delivery/"],
    types: ["src/connection/clock.ts"],
  },
  { name: "client", holds: ["src/client/"], imports: [...BELOW_CLIENT, "src/client/"] },
  {
    name: "testing",
    holds: ["src/testing/"],
    imports: [
      "src/testing/",
      "src/broker/",
      "src/transport/listen.ts",
      "src/transport/memory.ts",
      "src/transport/transport.ts",
      "src/endpoint.ts",
      "src/errors.ts",
    ],
  },
  { name: "cli", holds: ["src/cli/"], imports: ["src/cli/", "src/testing/mod.ts", "mod.ts"] },
  { name: "mod", holds: ["mod.ts"], imports: [...BELOW_CLIENT, "src/client/"] },
];

/** Only these import the built-in modules of Node. The leaves do not: a bundle for Workers would reach for them. */
export const NODE_BUILTINS = ["src/cli/"];

/** These import their types. */
export const NODE_TYPES = ["src/transport/node.ts", "src/transport/listen.ts"];

/** Only these name a runtime, or what only some have. */
export const RUNTIME_NAMES = [
  "src/codec.ts",
  "src/transport/deno.ts",
  "src/transport/node.ts",
  "src/transport/workers.ts",
  "src/transport/dial.ts",
  "src/transport/listen.ts",
  "src/cli/",
];

/** No I/O, no waiting, no clock, no chance: their tests run without permissions and without sleeping. */
export const PURE = [
  "src/name.ts",
  "src/ring.ts",
  "src/resp/",
  "src/run/",
  "src/protocol/",
  "src/broker/",
  "src/connection/backoff.ts",
];

/** These know nothing of the wire format. */
export const NO_WIRE = [
  "src/transport/",
  "src/connection/",
  "src/supervisor/",
  "src/topology/",
  "src/stream/",
  "src/delivery/",
  "src/client/",
];

/** These know no verb either: they pass bytes along. */
export const NO_VERBS = ["src/transport/"];

/** These leave waiting to the layer below. */
export const NO_TIMERS = ["src/topology/"];

/** Sources whose tests stand elsewhere than in the mirrored place. */
export const TESTED_ELSEWHERE: readonly { sources: string; test: string }[] = [
  { sources: "src/transport/deno.ts", test: "tests/contract/deno_test.ts" },
  { sources: "src/transport/dial.ts", test: "tests/contract/dial_test.ts" },
  { sources: "src/transport/listen.ts", test: "tests/contract/listen_test.ts" },
  { sources: "src/transport/node.ts", test: "tests/contract/node_test.ts" },
  { sources: "src/transport/workers.ts", test: "tests/contract/workers_test.ts" },
  { sources: "src/testing/listener.ts", test: "tests/live/test_broker_listen_test.ts" },
  { sources: "src/cli/", test: "tests/live/cli_test.ts" },
];

/** Folders of tests that mirror no folder of sources. */
export const FREE_TESTS = [
  "tests/contract/",
  "tests/fuzz/",
  "tests/live/",
  "tests/npm/",
  "tests/support/",
  "tests/workers/",
];

/** Whether a path is in a list of patterns. */
export function matches(path: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => pattern.endsWith("/") ? path.startsWith(pattern) : path === pattern);
}
