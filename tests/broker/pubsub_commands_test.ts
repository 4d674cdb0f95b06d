import { assertEquals } from "@std/assert";
import { Broker } from "../../src/broker/broker.ts";
import { PUBSUB_COMMANDS } from "../../src/broker/pubsub_commands.ts";
import { KIND_NAMES, KINDS } from "../../src/protocol/kind.ts";
import { test } from "../support/test.ts";
import { Peer } from "./peer.ts";

test("There is a row for the verbs of every kind, and both are allowed to subscribers", () => {
  const rows = new Map(PUBSUB_COMMANDS);
  for (const kind of KIND_NAMES) {
    assertEquals(rows.get(KINDS[kind].subscribe)?.flags, ["subscriber"]);
    assertEquals(rows.get(KINDS[kind].unsubscribe)?.flags, ["subscriber"]);
  }
});

test("PUBLISH to a channel of one's own: the reply comes before the message, in one write, as from Redis 7.2 on", () => {
  const peer = new Peer(new Broker());
  peer.say("HELLO 3");
  for (const line of ["SUBSCRIBE a", "PSUBSCRIBE a*", "SSUBSCRIBE a"]) peer.say(line);
  assertEquals(peer.say("PUBLISH a x"), ":2↵>3↵$7↵message↵$1↵a↵$1↵x↵>4↵$8↵pmessage↵$2↵a*↵$1↵a↵$1↵x↵");
  assertEquals(peer.say("SPUBLISH a x"), ":1↵>3↵$8↵smessage↵$1↵a↵$1↵x↵");
});

test("UNSUBSCRIBE without a name ends every channel, each with its own acknowledgement, and no other kind", () => {
  const peer = new Peer(new Broker());
  for (const line of ["SUBSCRIBE a b", "PSUBSCRIBE p", "SSUBSCRIBE s"]) peer.say(line);
  assertEquals(peer.say("UNSUBSCRIBE"), "*3↵$11↵unsubscribe↵$1↵a↵:2↵*3↵$11↵unsubscribe↵$1↵b↵:1↵");
  assertEquals(peer.say("PUNSUBSCRIBE"), "*3↵$12↵punsubscribe↵$1↵p↵:0↵");
  assertEquals(peer.say("SUNSUBSCRIBE"), "*3↵$12↵sunsubscribe↵$1↵s↵:0↵");
});

test("Names and payloads of any bytes come back as they went, in both dialects", () => {
  const broker = new Broker();
  const odd = "\x00\xff\r\n\xc3\x28";
  const command = (...words: string[]) =>
    Uint8Array.from(
      `*${words.length}\r\n` + words.map((word) => `$${word.length}\r\n${word}\r\n`).join(""),
      (character) => character.charCodeAt(0),
    );
  const writes: string[] = [];
  const connection = broker.connect({
    write: (bytes) => void writes.push(String.fromCharCode(...bytes)),
    close: () => {},
  });
  for (const mark of ["*", ">"]) {
    connection.receive(command("HELLO", mark === "*" ? "2" : "3"));
    connection.receive(command("SUBSCRIBE", odd));
    new Peer(broker).send(command("PUBLISH", odd, odd));
    connection.receive(command("UNSUBSCRIBE"));
    assertEquals(writes.splice(0).slice(1), [
      `${mark}3\r\n$9\r\nsubscribe\r\n$6\r\n${odd}\r\n:1\r\n`,
      `${mark}3\r\n$7\r\nmessage\r\n$6\r\n${odd}\r\n$6\r\n${odd}\r\n`,
      `${mark}3\r\n$11\r\nunsubscribe\r\n$6\r\n${odd}\r\n:0\r\n`,
    ]);
  }
});
