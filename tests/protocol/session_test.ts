import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProtocolError, ReplyError } from "../../src/errors.ts";
import { encodeCommand } from "../../src/resp/writer.ts";
import { test } from "../support/test.ts";
import { array, HELLO_MAP, item, OK, PONG, push, refusal } from "../support/wire.ts";
import { Bench } from "./session_bench.ts";

const NOPERM = refusal("NOPERM this user has no permissions to access one of the channels used as arguments");

for (const protocol of [3, 2] as const) {
  const inProtocol = `in RESP${protocol}`;

  test(`${inProtocol} nothing is sent before the handshake is done, then every wanted name, one a command`, () => {
    const bench = new Bench({ protocol });
    bench.want("shard", "s");
    bench.want("channel", "a", "b");
    bench.want("pattern", "p*");
    assertEquals(bench.sent(), ["HELLO 3"]);
    assertEquals(bench.open(), [`connected ${protocol}`]);
    assertEquals(bench.sent(), ["SUBSCRIBE a", "SUBSCRIBE b", "PSUBSCRIBE p*", "SSUBSCRIBE s"]);
    const events = bench.hear(
      push("subscribe", "a", 1),
      push("message", "a", "early"),
      push("subscribe", "b", 2),
      push("psubscribe", "p*", 3),
      push("ssubscribe", "s", 1),
    );
    assertEquals(events, [
      "subscribed channel a",
      "message channel a early",
      "subscribed channel b",
      "subscribed pattern p*",
      "subscribed shard s",
      "synced",
    ]);
    assertEquals(bench.sent(), []);
  });

  test(`${inProtocol} nothing wanted is synced at once`, () => {
    assertEquals(new Bench({ protocol }).open(), [`connected ${protocol}`, "synced"]);
  });

  test(`${inProtocol} a refusal is blamed on the very name that was refused`, () => {
    const bench = new Bench({ protocol });
    bench.want("channel", "a", "bad", "c", "worse", "e");
    bench.open();
    bench.sent();
    const events = bench.hear(
      push("subscribe", "a", 1),
      NOPERM,
      push("subscribe", "c", 2),
      NOPERM,
      push("subscribe", "e", 3),
    );
    assertEquals(events, [
      "subscribed channel a",
      "denied channel bad: NOPERM",
      "subscribed channel c",
      "denied channel worse: NOPERM",
      "subscribed channel e",
      "synced",
    ]);
    assertEquals(bench.sent(), []);
    assertEquals(bench.session.subscriptions?.state("channel", "bad"), "denied");
  });

  test(`${inProtocol} acknowledgements in another order are matched by kind and name`, () => {
    const bench = new Bench({ protocol });
    bench.want("channel", "a", "b", "bad");
    bench.want("pattern", "a");
    bench.open();
    const events = bench.hear(push("psubscribe", "a", 1), push("subscribe", "b", 2), push("subscribe", "a", 3), NOPERM);
    assertEquals(events, [
      "subscribed pattern a",
      "subscribed channel b",
      "subscribed channel a",
      "denied channel bad: NOPERM",
      "synced",
    ]);
  });

  test(`${inProtocol} an acknowledgement does not settle the same name of another kind`, () => {
    const bench = new Bench({ protocol });
    bench.want("channel", "a");
    bench.want("pattern", "a");
    bench.open();
    assertEquals(bench.hear(push("psubscribe", "a", 1), NOPERM), [
      "subscribed pattern a",
      "denied channel a: NOPERM",
      "synced",
    ]);
  });

  test(`${inProtocol} subscribing and unsubscribing in a row sends only what makes a difference`, () => {
    const bench = new Bench({ protocol });
    bench.open();
    bench.want("channel", "a");
    bench.drop("channel", "a");
    bench.want("channel", "a");
    bench.drop("channel", "a");
    assertEquals(bench.sent(), ["SUBSCRIBE a"]);
    assertEquals(bench.hear(push("subscribe", "a", 1)), ["subscribed channel a"]);
    assertEquals(bench.sent(), ["UNSUBSCRIBE a"]);
    bench.want("channel", "a");
    assertEquals(bench.hear(push("unsubscribe", "a", 0)), ["unsubscribed channel a"]);
    assertEquals(bench.sent(), ["SUBSCRIBE a"]);
    assertEquals(bench.hear(push("subscribe", "a", 1)), ["subscribed channel a", "synced"]);
  });

  test(`${inProtocol} a PING is answered, whatever else is due`, () => {
    const bench = new Bench({ protocol, keepAlive: { idleMs: 1_000, timeoutMs: 500 } });
    bench.want("channel", "a");
    bench.open();
    bench.hear(push("subscribe", "a", 1));
    bench.sent();
    bench.now = 1_000;
    bench.session.tick(bench.now);
    bench.want("channel", "b");
    assertEquals(bench.sent(), ["PING", "SUBSCRIBE b"]);
    const pong = protocol === 2 ? array("pong", "") : PONG;
    assertEquals(bench.hear(pong, push("subscribe", "b", 2)), ["subscribed channel b", "synced"]);
    assertEquals(bench.session.deadline(), 2_000);
  });

  test(`${inProtocol} an unknown push is told, and harms nobody`, () => {
    const bench = new Bench({ protocol });
    bench.want("channel", "a");
    bench.open();
    assertEquals(bench.hear(push("invalidate", null), push("subscribe", "a", 1)), [
      "unknown-push invalidate",
      "subscribed channel a",
      "synced",
    ]);
  });

  test(`${inProtocol} an acknowledgement with a null channel harms nobody`, () => {
    const bench = new Bench({ protocol });
    bench.open();
    assertEquals(bench.hear(push("unsubscribe", null, 2), push("sunsubscribe", null, 0)), []);
  });

  test(`${inProtocol} names of any bytes go out and come back as they are`, () => {
    const bench = new Bench({ protocol });
    const bytes = Uint8Array.of(0x61, 0xff, 0x0d, 0x0a);
    bench.want("channel", "a\udcff\r\n");
    bench.open();
    assertEquals([...bench.session.output()!], [...encodeCommand(["SUBSCRIBE", bytes])]);
    assertEquals(bench.hear(push("subscribe", bytes, 1)), ["subscribed channel a\udcff\r\n", "synced"]);
  });

  for (
    const [what, reply, says] of [
      ["a channel that is confirmed unasked", push("subscribe", "x", 1), "confirmed a channel that was not asked for"],
      ["a null that is confirmed", push("subscribe", null, 1), "confirmed a channel that was not asked for"],
      ["a channel that ends by itself", push("unsubscribe", "a", 0), "ended a channel by itself"],
      ["a pattern that nobody wanted and that ends", push("punsubscribe", "x", 0), "ended a pattern by itself"],
      ["a shard channel that nobody wanted and that ends", push("sunsubscribe", "x", 0), "revoked while absent"],
      ["a malformed push", push("message", "a"), "malformed push: message"],
      ["an answer to nothing", item(7), "a command that was not sent: integer"],
    ] as const
  ) {
    test(`${inProtocol} ${what} breaks the protocol`, () => {
      const bench = new Bench({ protocol });
      bench.want("channel", "a");
      bench.open();
      bench.hear(push("subscribe", "a", 1));
      assertThrows(() => bench.hear(reply), ProtocolError, says);
    });
  }

  test(`${inProtocol} a word in place of an acknowledgement breaks the protocol`, () => {
    const bench = new Bench({ protocol });
    bench.want("channel", "a");
    bench.open();
    assertThrows(() => bench.hear(OK), ProtocolError, "answered SUBSCRIBE with: simple-string");
  });
}

test("what came before a broken protocol is still told", () => {
  const bench = new Bench();
  bench.want("channel", "a");
  bench.open();
  bench.session.receive(new TextEncoder().encode(">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n?oops\r\n"), 0);
  assertEquals([bench.session.next()?.type, bench.session.next()?.type], ["settled", "synced"]);
  assertThrows(() => bench.session.next(), ProtocolError);
});

for (const code of ["LOADING", "MASTERDOWN", "NOAUTH", "BUSY"]) {
  test(`a SUBSCRIBE that is refused with ${code} ends the connection, so that a later one may do better`, () => {
    const bench = new Bench();
    bench.want("channel", "a");
    bench.open();
    const error = assertThrows(() => bench.hear(refusal(`${code} not now`)), ReplyError);
    assertEquals([error.code, error.verb, error.channel], [code, "SUBSCRIBE", "a"]);
  });
}

test("an UNSUBSCRIBE that is refused ends the connection, which rids us of the subscription too", () => {
  const bench = new Bench();
  bench.want("channel", "a");
  bench.open();
  bench.hear(push("subscribe", "a", 1));
  bench.drop("channel", "a");
  const error = assertThrows(() => bench.hear(NOPERM), ReplyError);
  assertEquals([error.verb, error.channel], ["UNSUBSCRIBE", "a"]);
});

test("an error that answers nothing ends the connection with the server's own words", () => {
  const bench = new Bench();
  bench.open();
  const error = assertThrows(() => bench.hear(refusal("ERR Max memory reached, bye")), ReplyError);
  assertEquals(error.message, "The connection was refused: ERR Max memory reached, bye");
});

test("a denied name is asked for again when somebody wants it again", () => {
  const bench = new Bench();
  bench.want("channel", "a");
  bench.open();
  bench.hear(NOPERM);
  bench.sent();
  bench.want("channel", "a");
  assertEquals(bench.sent(), ["SUBSCRIBE a"]);
  assertEquals(bench.hear(push("subscribe", "a", 1)), ["subscribed channel a", "synced"]);
});

test("a retry before the handshake is done, or of a name that is not denied, sends nothing", () => {
  const bench = new Bench();
  bench.desired.add("channel", "a");
  bench.session.sync("channel", "a", 0);
  assertEquals(bench.sent(), ["HELLO 3"]);
  bench.hear(HELLO_MAP, push("subscribe", "a", 1));
  bench.sent();
  bench.session.sync("channel", "a", 0);
  assertEquals(bench.sent(), []);
});

test("a refused name that is no longer wanted is forgotten", () => {
  const bench = new Bench();
  bench.want("channel", "a");
  bench.open();
  bench.drop("channel", "a");
  assertEquals(bench.hear(NOPERM), ["denied channel a: NOPERM", "synced"]);
  assertEquals(bench.session.subscriptions?.state("channel", "a"), "absent");
});

for (const protocol of [3, 2] as const) {
  test(`in RESP${protocol} commands are answered in order, with pushes in between where there are any`, () => {
    const bench = new Bench({ protocol, role: "commands" });
    assertEquals([bench.open(), bench.session.subscriptions], [[`connected ${protocol}`], undefined]);
    const tickets = ["GET", "LRANGE", "FOO", "GET"].map((verb) =>
      bench.session.command(verb, encodeCommand([verb, "x"]), 0)
    );
    assertEquals([tickets, bench.sent()], [[1, 2, 3, 4], ["GET x", "LRANGE x", "FOO x", "GET x"]]);
    const between = protocol === 3 ? [push("invalidate", null)] : [];
    assertEquals(
      bench.hear(item("v"), ...between, array("message", "not", "one"), refusal("ERR unknown command"), item(null)),
      [
        "reply 1 bulk-string",
        ...(protocol === 3 ? ["unknown-push invalidate"] : []),
        "reply 2 array",
        "reply 3 simple-error",
        "reply 4 null",
      ],
    );
  });
}

test("a command with its reply cut anywhere is answered once", () => {
  const bench = new Bench({ role: "commands" });
  bench.open();
  bench.session.command("GET", encodeCommand(["GET", "x"]), 0);
  const events: string[] = [];
  for (const byte of new TextEncoder().encode("$2\r\nhi\r\n")) {
    bench.session.receive(Uint8Array.of(byte), 0);
    events.push(...bench.events());
  }
  assertEquals(events, ["reply 1 bulk-string"]);
});

test("a subscriber that asks for a sign of life is told when it came", () => {
  for (const protocol of [3, 2] as const) {
    const bench = new Bench({ protocol });
    bench.want("channel", "a");
    bench.open();
    const ticket = bench.session.command("PING", ["PING"], 0);
    assertEquals(bench.hear(push("subscribe", "a", 1), protocol === 2 ? array("pong", "") : PONG), [
      "subscribed channel a",
      "synced",
      `reply ${ticket} simple-string`,
    ]);
  }
});

test("to quit while live waits for all that is due, and sends nothing more", () => {
  const bench = new Bench();
  bench.want("channel", "a");
  bench.open();
  bench.sent();
  bench.drop("channel", "a");
  bench.session.quit(0);
  bench.session.quit(0);
  assertEquals(bench.sent(), ["QUIT"]);
  bench.want("channel", "b");
  assertEquals(bench.hear(push("subscribe", "a", 1), push("message", "a", "last"), OK), [
    "subscribed channel a",
    "synced",
    "message channel a last",
  ]);
  assertEquals([bench.sent(), bench.session.deadline()], [[], Infinity]);
});

test("to quit in the handshake says goodbye, and no answer matters any more", () => {
  for (const answer of [HELLO_MAP, refusal("WRONGPASS no"), refusal("ERR unknown command"), item(1)]) {
    const bench = new Bench();
    bench.want("channel", "a");
    bench.session.quit(0);
    bench.session.quit(0);
    assertEquals(bench.sent(), ["HELLO 3", "QUIT"]);
    assertEquals([bench.hear(answer, OK), bench.sent()], [[], []]);
  }
});

test("what is to be sent is given once, in one piece", () => {
  const bench = new Bench();
  assert(bench.session.hasOutput);
  bench.open();
  assertEquals([bench.session.hasOutput, bench.session.output()], [false, undefined]);
  bench.want("channel", "a", "b");
  assert(bench.session.hasOutput);
  assertEquals(bench.sent(), ["SUBSCRIBE a", "SUBSCRIBE b"]);
  assertEquals(bench.session.hasOutput, false);
});

test("synced is told when the names of the beginning are answered, however many have come since", () => {
  const bench = new Bench();
  bench.want("channel", "a");
  bench.want("channel", "b");
  bench.open();
  bench.want("channel", "later");
  assertEquals(bench.hear(push("subscribe", "a", 1)), ["subscribed channel a"]);
  bench.want("channel", "even later");
  assertEquals(bench.hear(push("subscribe", "b", 2)), ["subscribed channel b", "synced"]);
  assertEquals(bench.hear(push("subscribe", "later", 3)), ["subscribed channel later"]);
  assertEquals(bench.hear(push("subscribe", "even later", 4)), ["subscribed channel even later", "synced"]);
});
