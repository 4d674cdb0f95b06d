import { assertEquals } from "@std/assert";
import { Broker } from "../../src/broker/broker.ts";
import { test } from "../support/test.ts";
import { Peer } from "./peer.ts";

const FIELDS = (protocol: 2 | 3) =>
  `$6↵server↵$5↵redis↵$7↵version↵$5↵7.2.6↵$5↵proto↵:${protocol}↵$2↵id↵:1↵$4↵mode↵$10↵standalone↵$4↵role↵$6↵master↵$7↵modules↵*0↵`;

test("HELLO answers with a map, which is a flat array in RESP2, and keeps the dialect where it names none", () => {
  const peer = new Peer(new Broker());
  const table: [string, string][] = [
    ["HELLO", `*14↵${FIELDS(2)}`],
    ["HELLO 3", `%7↵${FIELDS(3)}`],
    ["HELLO", `%7↵${FIELDS(3)}`],
    ["HELLO 2", `*14↵${FIELDS(2)}`],
  ];
  for (const [said, answer] of table) assertEquals(peer.say(said), answer, said);
});

test("The version is the one that was asked for", () => {
  const peer = new Peer(new Broker({ version: "9.9.9" }));
  assertEquals(peer.say("HELLO").includes("$7↵version↵$5↵9.9.9↵"), true);
  assertEquals(peer.say("INFO").includes("↵redis_version:9.9.9↵"), true);
});

test("INFO says what clients look for before they trust a server", () => {
  const peer = new Peer(new Broker());
  const info = peer.say("INFO server");
  for (const line of ["loading:0", "redis_mode:standalone", "role:master"]) {
    assertEquals(info.includes(`↵${line}↵`), true, line);
  }
});

test("CLIENT LIST tells of each connection: who, where from, subscribed to how much, and its last command", () => {
  const broker = new Broker();
  const [one, two] = [new Peer(broker), new Peer(broker)];
  one.say("CLIENT SETNAME one");
  two.say("HELLO 3");
  two.say("CLIENT SETINFO LIB-NAME earshot");
  two.say("SELECT 2");
  two.say("SUBSCRIBE a b");
  two.say("PSUBSCRIBE p");
  two.say("SSUBSCRIBE s");
  const first =
    "id=1 addr=memory:1 name=one flags=N db=0 sub=0 psub=0 ssub=0 cmd=client|list user=default resp=2 lib-name= lib-ver=\n";
  const second =
    "id=2 addr=memory:2 name= flags=P db=2 sub=2 psub=1 ssub=1 cmd=ssubscribe user=default resp=3 lib-name=earshot lib-ver=\n";
  assertEquals(one.say("CLIENT LIST"), `$${first.length + second.length}↵${first}${second}↵`);
  assertEquals(one.say("CLIENT LIST ID 7 2"), `$${second.length}↵${second}↵`);
  assertEquals(one.say("CLIENT LIST TYPE PubSub"), `$${second.length}↵${second}↵`);
  assertEquals(one.say("CLIENT LIST TYPE normal"), `$${first.length}↵${first}↵`);
  const info = second.replace("ssubscribe", "client|info");
  assertEquals(two.say("CLIENT INFO"), `=${info.length + 4}↵txt:${info}↵`);
});

test("CLIENT SETINFO takes the two things it knows", () => {
  const peer = new Peer(new Broker());
  assertEquals(peer.say("CLIENT SETINFO lib-ver 1.0"), "+OK↵");
  assertEquals(peer.say("CLIENT SETINFO lib-foo 1.0"), "-ERR Unrecognized option 'lib-foo'↵");
  assertEquals(
    peer.say("CLIENT SETINFO lib-name é"),
    "-ERR lib-name cannot contain spaces, newlines or special characters.↵",
  );
});

test("CLIENT KILL ends those it chooses, after what was due to them, and not its sender unless told so", () => {
  const kills: [string, string, number[]][] = [
    ["CLIENT KILL TYPE pubsub", ":2↵", [2, 3]],
    ["CLIENT KILL ID 3", ":1↵", [3]],
    ["CLIENT KILL ADDR memory:2", ":1↵", [2]],
    ["CLIENT KILL TYPE pubsub ID 4", ":0↵", []],
    ["CLIENT KILL TYPE normal", ":1↵", [4]],
    ["CLIENT KILL TYPE normal SKIPME no", ":2↵", [1, 4]],
    ["CLIENT KILL ID 1", ":0↵", []],
    ["CLIENT KILL memory:4", "+OK↵", [4]],
    ["CLIENT KILL memory:1", "+OK↵", [1]],
  ];
  for (const [said, answer, killed] of kills) {
    const broker = new Broker();
    const peers = [1, 2, 3, 4].map(() => new Peer(broker));
    peers[1]!.say("SUBSCRIBE a");
    peers[2]!.say("SSUBSCRIBE a");
    assertEquals(peers[0]!.say(said), answer, said);
    assertEquals(peers.flatMap(({ state }, index) => state === "closed" ? [index + 1] : []), killed, said);
    assertEquals(broker.connections.size, 4 - killed.length);
    assertEquals(broker.publish("channel", "a", "x"), killed.includes(2) ? 0 : 1);
  }
});

test("QUIT answers, ends, and hears nothing more; also before AUTH and while subscribed", () => {
  for (const options of [{}, { password: "sesame" }]) {
    const broker = new Broker(options);
    const peer = new Peer(broker);
    peer.say("SUBSCRIBE a");
    assertEquals(peer.send("*1\r\n$4\r\nQUIT\r\n*1\r\n$4\r\nPING\r\n").endsWith("+OK↵"), true);
    assertEquals([peer.state, broker.connections.size, broker.subscriberCount("channel", "a")], ["closed", 0, 0]);
    assertEquals(peer.say("PING"), "");
  }
});

test("COMMAND answers with nothing, which keeps other clients content", () => {
  const peer = new Peer(new Broker());
  assertEquals(peer.say("COMMAND"), "*0↵");
  assertEquals(peer.say("COMMAND DOCS"), "*0↵");
});
