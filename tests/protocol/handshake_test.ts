import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProtocolError, ReplyError } from "../../src/errors.ts";
import { Handshake, type HandshakeOptions, isAuthenticationError } from "../../src/protocol/handshake.ts";
import type { Reply } from "../../src/resp/reply.ts";
import { test } from "../support/test.ts";
import { array, HELLO_MAP, item, OK, refusal } from "../support/wire.ts";

const PASSWORD = "hunter2";
const USER = "alice-the-user";

/** What one opening sent, line by line, and how it ended. */
interface Outcome {
  readonly sent: string[];
  readonly end: 2 | 3 | "waiting" | ReplyError | ProtocolError;
}

function shake(options: Partial<HandshakeOptions>, replies: readonly Reply[]): Outcome {
  const handshake = new Handshake({ protocol: "auto", database: 0, ...options });
  const sent: string[] = [];
  let progress = handshake.start();
  try {
    for (const reply of [...replies, undefined]) {
      if (progress.type === "send") sent.push(...progress.commands.map((args) => args.join(" ")));
      if (progress.type === "done") return { sent, end: progress.protocol };
      if (reply !== undefined) progress = handshake.reply(reply);
    }
    return { sent, end: "waiting" };
  } catch (error) {
    assert(error instanceof ReplyError || error instanceof ProtocolError);
    return { sent, end: error };
  }
}

const HELLO_ARRAY: Reply = array("server", "redis", "proto", 3);
const UNKNOWN_5 = refusal(
  `ERR unknown command \`HELLO\`, with args beginning with: \`3\`, \`AUTH\`, \`${USER}\`, \`${PASSWORD}\`, `,
);
const hello = { username: USER, password: PASSWORD, clientName: "app", database: 7 };
const HELLO_ALL = `HELLO 3 AUTH ${USER} ${PASSWORD} SETNAME app`;
const RESP2_ALL = [`AUTH ${USER} ${PASSWORD}`, "CLIENT SETNAME app", "SELECT 7"];

const GOOD: readonly (readonly [what: string, Partial<HandshakeOptions>, Reply[], sent: string[], protocol: 2 | 3])[] =
  [
    ["HELLO alone", {}, [HELLO_MAP], ["HELLO 3"], 3],
    ["HELLO that is answered with a flat array", {}, [HELLO_ARRAY], ["HELLO 3"], 3],
    ["a password alone, for the user default", { password: PASSWORD }, [HELLO_MAP], [
      `HELLO 3 AUTH default ${PASSWORD}`,
    ], 3],
    ["an empty password, which is one", { password: "" }, [HELLO_MAP], ["HELLO 3 AUTH default "], 3],
    ["a user without a password, who cannot log in", { username: USER }, [HELLO_MAP], ["HELLO 3"], 3],
    ["all of it in RESP3", hello, [HELLO_MAP, OK], [HELLO_ALL, "SELECT 7"], 3],
    ["all of it in RESP3, forced", { ...hello, protocol: 3 }, [HELLO_MAP, OK], [HELLO_ALL, "SELECT 7"], 3],
    ["all of it in RESP2, forced", { ...hello, protocol: 2 }, [OK, OK, OK], RESP2_ALL, 2],
    ["nothing at all in RESP2, forced", { protocol: 2 }, [], [], 2],
    ["a password alone in RESP2", { protocol: 2, password: PASSWORD }, [OK], [`AUTH ${PASSWORD}`], 2],
    [
      "a refused SETNAME in RESP2",
      { ...hello, protocol: 2 },
      [
        OK,
        refusal("NOPERM this user has no permissions to run the 'client|setname' command"),
        OK,
      ],
      RESP2_ALL,
      2,
    ],
    ["a refused SETNAME alone, the last of all", { protocol: 2, clientName: "a b" }, [refusal("ERR no spaces")], [
      "CLIENT SETNAME a b",
    ], 2],
  ];

for (const [what, options, replies, sent, protocol] of GOOD) {
  test(`opens with ${what}`, () => assertEquals(shake(options, replies), { sent, end: protocol }));
}

test("believes a server that lets HELLO pass and says that it goes on in RESP2", () => {
  assertEquals(shake({}, [array("server", "proxy", "proto", 2)]), { sent: ["HELLO 3"], end: 2 });
  const { end } = shake({ protocol: 3 }, [array("server", "proxy", "proto", 2)]);
  assert(end instanceof ProtocolError);
});

/** Every refusal of HELLO that is not about who we are. */
const FALLBACKS: readonly (readonly [server: string, Reply])[] = [
  ["Redis 5", UNKNOWN_5],
  ["Redis 4", refusal("ERR unknown command 'HELLO'")],
  ["a server without RESP3", refusal("NOPROTO unsupported protocol version")],
  ["Redis 6.0 and its other NOPROTO", refusal("NOPROTO sorry this protocol version is not supported")],
  ["an ACL", refusal("NOPERM this user has no permissions to run the 'hello' command or its subcommand")],
  ["twemproxy-like proxies", refusal("ERR unknown command")],
  ["a proxy that knows no arguments", refusal("ERR wrong number of arguments for 'hello' command")],
  ["Envoy", refusal("ERR unknown command 'HELLO', with args beginning with: 3")],
  ["a proxy with a syntax of its own", refusal("ERR Syntax error in HELLO option 'AUTH'")],
  ["a proxy with a code of its own", refusal("UNSUPPORTED command")],
  ["a proxy without a code", refusal("unsupported command `hello`")],
  ["a bulk error", { type: "bulk-error", value: "ERR unknown command 'HELLO'" }],
];

for (const [server, reply] of FALLBACKS) {
  test(`goes on in RESP2 when ${server} refuses HELLO: ${JSON.stringify(reply.value)}`, () => {
    assertEquals(shake(hello, [reply, OK, OK, OK]), { sent: [HELLO_ALL, ...RESP2_ALL], end: 2 });
    assertEquals(shake({}, [reply]), { sent: ["HELLO 3"], end: 2 });
  });

  test(`fails when RESP3 is forced and ${server} refuses HELLO: ${JSON.stringify(reply.value)}`, () => {
    const { sent, end } = shake({ ...hello, protocol: 3 }, [reply]);
    assert(end instanceof ReplyError);
    assertEquals([sent, end.verb], [[HELLO_ALL], "HELLO"]);
    assertHidesSecrets(end);
  });
}

/** Refusals after which no other way of asking helps; the second is whether they are about who we are. */
const FATAL: readonly (readonly [text: string, authentication: boolean])[] = [
  ["WRONGPASS invalid username-password pair or user is disabled.", true],
  [`WRONGPASS invalid password ${PASSWORD} of ${USER}`, true],
  ["NOAUTH HELLO must be called with the client already authenticated", true],
  ["NOAUTH Authentication required.", true],
  ["DENIED Redis is running in protected mode because protected mode is enabled", true],
  ["ERR invalid password", false],
  ["ERR AUTH <password> called without any password configured for the default user.", false],
  ["ERR Client sent AUTH, but no password is set", false],
  ["LOADING Redis is loading the dataset in memory", false],
  ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", false],
  ["BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", false],
  ["ERR max number of clients reached", false],
  ["ERR max number of clients + cluster connections reached", false],
];

for (const [text, authentication] of FATAL) {
  test(`gives up when HELLO is refused with: ${text}`, () => {
    const { sent, end } = shake(hello, [refusal(text)]);
    assert(end instanceof ReplyError);
    assertEquals([sent, end.verb, end.code], [[HELLO_ALL], "HELLO", text.split(" ")[0]!]);
    assertEquals(isAuthenticationError(end), authentication);
    assertHidesSecrets(end);
  });
}

const RESP2_REFUSALS: readonly string[] = [
  "WRONGPASS invalid username-password pair or user is disabled.",
  "ERR invalid password",
  "ERR Client sent AUTH, but no password is set",
  "ERR wrong number of arguments for 'auth' command",
  "NOPERM this user has no permissions to run the 'auth' command",
  `ERR unknown command 'AUTH', with args beginning with: '${USER}' '${PASSWORD}' `,
  `ERR proxy cannot forward AUTH ${USER} ${PASSWORD}`,
];

for (const text of RESP2_REFUSALS) {
  test(`gives up when AUTH is refused with: ${text}`, () => {
    for (const [options, before] of [[{ ...hello, protocol: 2 as const }, []], [hello, [UNKNOWN_5]]] as const) {
      const { end } = shake(options, [...before, refusal(text)]);
      assert(end instanceof ReplyError);
      assertEquals([end.verb, isAuthenticationError(end)], ["AUTH", true]);
      assertHidesSecrets(end);
    }
  });
}

test("a secret that holds the other one is hidden as a whole", () => {
  const { end } = shake({ protocol: 2, username: "abc", password: "abcdef" }, [refusal("ERR no: abcdef abc")]);
  assert(end instanceof ReplyError);
  assertEquals(end.message, "AUTH was refused: ERR no: *** ***");
});

test("an error reply is about who we are only where it says so", () => {
  assertEquals(isAuthenticationError(new ReplyError("NOPERM no", "SUBSCRIBE")), false);
  assertEquals(isAuthenticationError(new ReplyError("NOAUTH no", "SUBSCRIBE")), true);
  assertEquals(isAuthenticationError(new Error("WRONGPASS")), false);
});

test("gives up when SELECT is refused, in either protocol", () => {
  for (const [options, replies] of [[{ protocol: 2 }, []], [{ protocol: 3 }, [HELLO_MAP]]] as const) {
    const { end } = shake({ ...options, database: 99 }, [...replies, refusal("ERR DB index is out of range")]);
    assert(end instanceof ReplyError);
    assertEquals([end.message, end.verb], ["SELECT was refused: ERR DB index is out of range", "SELECT"]);
    assertEquals(isAuthenticationError(end), false);
  }
});

for (const reply of [OK, item("hello"), item(1), item(null)]) {
  test(`an answer to HELLO that is a ${reply.type} breaks the protocol`, () => {
    for (const protocol of ["auto", 3] as const) {
      const { end } = shake({ protocol }, [reply]);
      assert(end instanceof ProtocolError);
      assertEquals(end.message, `The server answered HELLO with neither a map nor an array: ${reply.type}`);
    }
  });
}

test("an answer after the last one breaks the protocol", () => {
  const handshake = new Handshake({ protocol: "auto", database: 0 });
  handshake.start();
  assertEquals(handshake.reply(HELLO_MAP), { type: "done", protocol: 3 });
  assertThrows(() => handshake.reply(OK), ProtocolError, "a handshake that was over");
});

test("says at each step which answer is awaited", () => {
  const handshake = new Handshake({ protocol: "auto", ...hello });
  const awaited: string[] = [];
  handshake.start();
  for (const reply of [UNKNOWN_5, OK, OK, OK]) {
    awaited.push(handshake.awaiting);
    handshake.reply(reply);
  }
  assertEquals(awaited, ["HELLO", "AUTH", "CLIENT SETNAME", "SELECT"]);
});

test("the whole of RESP2 is sent at once, and is done with the last answer", () => {
  const handshake = new Handshake({ ...hello, protocol: 2 });
  const progress = handshake.start();
  assert(progress.type === "send");
  assertEquals(progress.commands.length, 3);
  assertEquals([OK, OK, OK].map((reply) => handshake.reply(reply).type), ["wait", "wait", "done"]);
});

function assertHidesSecrets(error: Error): void {
  for (const secret of [PASSWORD, USER]) assert(!`${error.message}\n${error.cause}`.includes(secret), error.message);
}
