import { assertStrictEquals } from "@std/assert";
import { standalone } from "../../src/topology/standalone.ts";
import { test } from "../support/test.ts";

test("a standalone server is found where it is, again and again", async () => {
  const endpoint = { host: "cache.example", port: 6380, tls: {} };
  const topology = standalone(endpoint);
  assertStrictEquals(await topology.locate(), endpoint);
  assertStrictEquals(await topology.locate(), endpoint);
});
