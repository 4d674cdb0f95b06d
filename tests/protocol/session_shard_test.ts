import { assertEquals, assertThrows } from "@std/assert";
import { ProtocolError, ReplyError } from "../../src/errors.ts";
import type { Reply } from "../../src/resp/reply.ts";
import { test } from "../support/test.ts";
import { array, PONG, push, refusal } from "../support/wire.ts";
import { Bench } from "./session_bench.ts";

const REMOVED = push("sunsubscribe", "s", 0);
const MOVED = refusal("MOVED 4092 10.0.0.2:6379");

/** A session that has one shard channel. */
function subscribed(protocol: 2 | 3 = 3): Bench {
  const bench = new Bench({ protocol });
  bench.want("shard", "s");
  bench.open();
  bench.hear(push("ssubscribe", "s", 1));
  bench.sent();
  return bench;
}

test("a shard channel is unsubscribed with a PING behind it", () => {
  const bench = subscribed();
  bench.drop("shard", "s");
  assertEquals(bench.sent(), ["SUNSUBSCRIBE s", "PING"]);
});

/** Every way in which SUNSUBSCRIBE and the PING behind it can be answered; the last of each settles it. */
const ANSWERS: readonly (readonly [what: string, replies: readonly Reply[]])[] = [
  ["acknowledged", [REMOVED, PONG]],
  ["acknowledged with a pong of the subscriber mode", [REMOVED, array("pong", "")]],
  ["crossed by a revocation, and acknowledged", [REMOVED, REMOVED, PONG]],
  ["crossed by a revocation, then refused since the slot has moved", [REMOVED, MOVED, PONG]],
  ["refused since the slot has moved", [MOVED, PONG]],
  ["acknowledged with a null", [push("sunsubscribe", null, 0), PONG]],
  ["acknowledged, and PING is refused", [
    REMOVED,
    refusal("NOPERM User x has no permissions to run the 'ping' command"),
  ]],
  ["refused since the slot has moved, and PING is refused", [
    MOVED,
    refusal("NOPERM this user has no permissions to run the 'ping' command or its subcommand"),
  ]],
];

for (const protocol of [3, 2] as const) {
  for (const [what, replies] of ANSWERS) {
    test(`in RESP${protocol} an unsubscription that is ${what} is settled by the PONG, not before`, () => {
      const bench = subscribed(protocol);
      bench.drop("shard", "s");
      assertEquals(bench.hear(...replies.slice(0, -1)), []);
      assertEquals(bench.session.subscriptions?.state("shard", "s"), "unsubscribing");
      assertEquals(bench.hear(replies.at(-1)!), ["unsubscribed shard s", "synced"]);
      assertEquals([bench.session.subscriptions?.state("shard", "s"), bench.session.deadline()], ["absent", Infinity]);
    });

    test(`in RESP${protocol} a name wanted again while its unsubscription is ${what} is subscribed after the PONG`, () => {
      const bench = subscribed(protocol);
      bench.drop("shard", "s");
      bench.want("shard", "s");
      bench.sent();
      bench.hear(...replies.slice(0, -1));
      assertEquals(bench.sent(), []);
      assertEquals(bench.hear(replies.at(-1)!), ["unsubscribed shard s"]);
      assertEquals(bench.sent(), ["SSUBSCRIBE s"]);
      assertEquals(bench.hear(push("ssubscribe", "s", 1)), ["subscribed shard s", "synced"]);
    });
  }
}

test("messages go on until the unsubscription is acknowledged", () => {
  const bench = subscribed();
  bench.drop("shard", "s");
  assertEquals(bench.hear(push("smessage", "s", "last"), REMOVED, PONG), [
    "message shard s last",
    "unsubscribed shard s",
    "synced",
  ]);
});

test("a shard channel that the server takes away is told, and wanted anew at once", () => {
  const bench = subscribed();
  assertEquals(bench.hear(REMOVED), ["revoked shard s"]);
  assertEquals(bench.sent(), ["SSUBSCRIBE s"]);
  assertEquals(bench.hear(MOVED), ["denied shard s: MOVED", "synced"]);
});

test("a shard channel that the server takes away while it is subscribing breaks the protocol", () => {
  const bench = new Bench();
  bench.want("shard", "s");
  bench.open();
  assertThrows(() => bench.hear(REMOVED), ProtocolError, "revoked while subscribing");
});

test("a revocation after the PONG, of what is gone, breaks the protocol", () => {
  const bench = subscribed();
  bench.drop("shard", "s");
  bench.hear(REMOVED, PONG);
  assertThrows(() => bench.hear(REMOVED), ProtocolError, "revoked while absent");
});

test("two shard channels on their way out are settled each by its own PONG", () => {
  const bench = subscribed();
  bench.want("shard", "t");
  bench.hear(push("ssubscribe", "t", 2));
  bench.drop("shard", "s", "t");
  assertEquals(bench.hear(MOVED, PONG), ["unsubscribed shard s"]);
  assertEquals(bench.hear(push("sunsubscribe", "t", 0), PONG), ["unsubscribed shard t", "synced"]);
});

test("a refusal of SSUBSCRIBE names the channel", () => {
  const bench = new Bench();
  bench.want("shard", "s");
  bench.open();
  bench.session.receive(new TextEncoder().encode("-MOVED 4092 10.0.0.2:6379\r\n"), 0);
  const event = bench.session.next();
  assertEquals(event?.type, "denied");
  const error = event?.type === "denied" ? event.error : undefined;
  assertEquals([error instanceof ReplyError, error?.verb, error?.channel], [true, "SSUBSCRIBE", "s"]);
});

test("An unsubscription that is refused ends the connection: not to be rid of a subscription is worse", () => {
  const bench = subscribed(3);
  bench.drop("shard", "s");
  const refused = refusal("NOPERM User x has no permissions to run the 'sunsubscribe' command");
  assertEquals(assertThrows(() => bench.hear(refused), ReplyError, 'SUNSUBSCRIBE of "s"').code, "NOPERM");
});
