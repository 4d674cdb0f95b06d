import { assertEquals, assertStrictEquals } from "@std/assert";
import { alreadyClosed, cannotConnect, connectionLost } from "../../src/transport/transport.ts";
import { test } from "../support/test.ts";

test("the errors of every leaf name the endpoint, in their text and as a property", () => {
  const cause = new Error("platform");
  for (
    const [error, message, expected] of [
      [cannotConnect("a:1", "connection refused", cause), "Cannot connect to a:1: connection refused", cause],
      [connectionLost("a:1", "reset", cause), "Lost the connection to a:1: reset", cause],
      [alreadyClosed("a:1"), "Cannot write to a:1: the connection was closed on this side", undefined],
    ] as const
  ) {
    assertEquals(error.message, message);
    assertEquals(error.endpoint, "a:1");
    assertStrictEquals(error.cause, expected);
  }
});
