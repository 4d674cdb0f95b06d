import { assertEquals, assertMatch } from "@std/assert";
import { Broker } from "../../src/broker/broker.ts";
import { canonicalKey, maskedWords } from "../../src/broker/commands.ts";
import { test } from "../support/test.ts";
import { DIALOGUES } from "./dialogues.ts";
import { Peer } from "./peer.ts";

for (const { name, lines } of DIALOGUES) {
  test(`Dialogue: ${name}`, () => {
    const broker = new Broker();
    const [first, second] = [new Peer(broker), new Peer(broker)];
    for (const [said, answer] of lines) {
      const got = said.startsWith("2:") ? second.say(said.slice(2)) : first.say(said);
      if (answer === "*") assertMatch(got, /^[*%]/);
      else assertEquals(got, answer, `${said} → ${got}`);
    }
  });
}

test("A server that knows RESP2 only answers HELLO as Redis 5 does", () => {
  const peer = new Peer(new Broker({ protocol: 2 }));
  assertEquals(
    peer.say("HELLO 3 SETNAME me"),
    "-ERR unknown command `HELLO`, with args beginning with: `3`, `SETNAME`, `me`, ↵",
  );
  assertEquals(peer.say("SUBSCRIBE a"), "*3↵$9↵subscribe↵$1↵a↵:1↵");
});

test("An unknown command with line breaks in its arguments is answered with one line", () => {
  const peer = new Peer(new Broker());
  assertEquals(
    peer.send("*2\r\n$3\r\nFOO\r\n$4\r\na\r\nb\r\n"),
    "-ERR unknown command 'FOO', with args beginning with: 'a  b' ↵",
  );
});

const NOAUTH = "-NOAUTH Authentication required.↵";

test("Before AUTH only AUTH, HELLO, RESET and QUIT are allowed; what does not exist is told all the same", () => {
  const peer = new Peer(new Broker({ password: "sesame" }));
  const table: [string, string][] = [
    ["PING", NOAUTH],
    ["SUBSCRIBE a", NOAUTH],
    ["CLIENT ID", NOAUTH],
    ["FOO", "-ERR unknown command 'FOO', with args beginning with: ↵"],
    ["SUBSCRIBE", "-ERR wrong number of arguments for 'subscribe' command↵"],
    ["HELLO 4", "-NOPROTO unsupported protocol version↵"],
    ["RESET", "+RESET↵"],
    ["AUTH wrong", "-WRONGPASS invalid username-password pair or user is disabled.↵"],
    ["AUTH default wrong", "-WRONGPASS invalid username-password pair or user is disabled.↵"],
    ["PING", NOAUTH],
    ["AUTH sesame", "+OK↵"],
    ["AUTH wrong", "-WRONGPASS invalid username-password pair or user is disabled.↵"],
    ["PING", "+PONG↵"],
    ["RESET", "+RESET↵"],
    ["PING", NOAUTH],
    ["QUIT", "+OK↵"],
  ];
  for (const [said, answer] of table) assertEquals(peer.say(said), answer, said);
});

test("HELLO before AUTH says how to do both at once, and does both at once", () => {
  const peer = new Peer(new Broker({ users: { default: "sesame", "": "empty", alice: "wonder" } }));
  for (const line of ["HELLO", "HELLO 3", "HELLO 3 SETNAME me"]) {
    assertMatch(peer.say(line), /^-NOAUTH HELLO must be called with the client already authenticated, otherwise/);
  }
  assertMatch(peer.say("HELLO 3 AUTH alice sesame"), /^-WRONGPASS /);
  assertEquals(peer.say("PING"), NOAUTH);
  assertMatch(peer.say("hello 3 setname me auth alice wonder"), /^%7↵\$6↵server↵/);
  assertEquals(peer.say("CLIENT GETNAME"), "$2↵me↵");
});

test("With users but no default one, nobody is in without a name", () => {
  const broker = new Broker({ users: { alice: "wonder" } });
  const peer = new Peer(broker);
  assertEquals(peer.say("PING"), NOAUTH);
  assertMatch(peer.say("AUTH wonder"), /^-WRONGPASS/);
  assertMatch(peer.say("AUTH default "), /^-WRONGPASS/);
  assertMatch(peer.say("AUTH constructor x"), /^-WRONGPASS/);
  assertEquals(peer.say("AUTH alice wonder"), "+OK↵");
  assertMatch(peer.say("CLIENT INFO"), / user=alice /);
});

test("A refused command is answered so where a real server checks permissions: after its words and after AUTH", () => {
  const broker = new Broker({ password: "sesame" });
  const peer = new Peer(broker);
  broker.refuse("subscribe", "NOPERM no");
  broker.refuse("CLIENT setname", "NOPERM no name");
  broker.refuse("hello", "ERR HELLO is not for you");
  assertEquals(peer.say("HELLO 3"), "-ERR HELLO is not for you↵");
  assertEquals(peer.say("SUBSCRIBE a"), NOAUTH);
  peer.say("AUTH sesame");
  assertEquals(peer.say("SUBSCRIBE"), "-ERR wrong number of arguments for 'subscribe' command↵");
  assertEquals(peer.say("SUBSCRIBE a"), "-NOPERM no↵");
  assertEquals(peer.say("CLIENT SETNAME a"), "-NOPERM no name↵");
  assertEquals(peer.say("CLIENT ID"), ":1↵");
});

test("A command that the broker does not know can be refused with any error", () => {
  const broker = new Broker();
  const peer = new Peer(broker);
  broker.refuse("CONFIG", "NOPERM no config");
  assertEquals(peer.say("CONFIG GET a"), "-NOPERM no config↵");
  broker.allow("config");
  assertMatch(peer.say("CONFIG GET a"), /^-ERR unknown command 'CONFIG'/);
});

test("A command is refused whole where it names the refused name, and otherwise carried out", () => {
  const broker = new Broker();
  const peer = new Peer(broker);
  const table: [string, string][] = [
    ["SUBSCRIBE ok bad ok2", "-NOPERM bad↵"],
    ["SUBSCRIBE bad", "-NOPERM bad↵"],
    ["PUBSUB CHANNELS", "*0↵"],
    ["PUBLISH bad x", "-NOPERM bad pub↵"],
    ["PUBLISH ok bad", ":0↵"],
    ["SUBSCRIBE ok", "*3↵$9↵subscribe↵$2↵ok↵:1↵"],
  ];
  broker.refuse("SUBSCRIBE", "NOPERM bad", { name: "bad" });
  broker.refuse("PUBLISH", "NOPERM bad pub", { name: new TextEncoder().encode("bad") });
  for (const [said, answer] of table) assertEquals(peer.say(said), answer, said);
  broker.allow("Subscribe");
  assertEquals(peer.say("SUBSCRIBE bad"), "*3↵$9↵subscribe↵$3↵bad↵:2↵");
});

test("No credential reaches the log, however broken its command", () => {
  const words = (line: string) => maskedWords(line.split(" ").map((word) => new TextEncoder().encode(word)));
  const table: [string, string][] = [
    ["AUTH s3cret", "AUTH ***"],
    ["auth user s3cret", "auth *** ***"],
    ["AUTH a s3cret s3cret", "AUTH *** *** ***"],
    ["HELLO 3 AUTH user s3cret SETNAME me", "HELLO 3 AUTH *** *** SETNAME me"],
    ["hello 3 setname me auth user s3cret", "hello 3 setname me auth *** ***"],
    ["HELLO 3 AUTH s3cret", "HELLO 3 AUTH ***"],
    ["HELLO 3 SETNAME auth AUTH user s3cret", "HELLO 3 SETNAME auth *** *** ***"],
    ["SUBSCRIBE auth b c", "SUBSCRIBE auth b c"],
  ];
  for (const [line, masked] of table) assertEquals(words(line).join(" "), masked);
});

test("The log hears every command before it is carried out, refused and unknown ones too", () => {
  const broker = new Broker();
  const peer = new Peer(broker);
  broker.refuse("PING", "NOPERM no");
  for (const line of ["PING", "FOO a", "QUIT"]) peer.say(line);
  assertEquals(peer.log.map((words) => words.join(" ")), ["PING", "FOO a", "QUIT"]);
});

test("A command may be named with its subcommand in several ways", () => {
  for (const name of ["client setname", "CLIENT|SETNAME", " Client   Setname "]) {
    assertEquals(canonicalKey(name), "CLIENT|SETNAME");
  }
});
