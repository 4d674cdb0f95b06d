import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Broker } from "../../src/broker/broker.ts";
import { test } from "../support/test.ts";
import { command, Peer } from "./peer.ts";

const join = (lines: readonly string[]) => Uint8Array.from(lines.flatMap((line) => [...command(line)]));

test("All answers to one input come in one write, to each connection that has any", () => {
  const broker = new Broker();
  const [subscriber, publisher, third] = [new Peer(broker), new Peer(broker), new Peer(broker)];
  subscriber.connection.receive(join(["SUBSCRIBE a", "SUBSCRIBE b"]));
  assertEquals(subscriber.writes().length, 1);
  publisher.connection.receive(join(["PUBLISH a 1", "PUBLISH b 2", "PING"]));
  assertEquals(publisher.writes(), [":1↵:1↵+PONG↵"]);
  assertEquals(subscriber.writes(), ["*3↵$7↵message↵$1↵a↵$1↵1↵*3↵$7↵message↵$1↵b↵$1↵2↵"]);
  assertEquals(third.writes(), []);
});

test("Answers are the same at whatever boundaries the bytes come, in both dialects", () => {
  const line = fc.constantFrom(
    "HELLO 3",
    "HELLO 2",
    "SUBSCRIBE a b",
    "PSUBSCRIBE a*",
    "UNSUBSCRIBE",
    "PUBLISH a x",
    "PING y",
    "NOPE",
    "RESET",
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), fc.integer({ min: 1, max: 9 }), (lines, size) => {
      const bytes = join(lines);
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => {
        return bytes.slice(index * size, (index + 1) * size);
      });
      const peer = new Peer(new Broker());
      for (const piece of pieces) peer.connection.receive(piece);
      assertEquals(peer.heard(), new Peer(new Broker()).send(bytes));
    }),
  );
});

test("Typed lines are answered too", () => {
  const peer = new Peer(new Broker());
  assertEquals(peer.send("PING\r\n"), "+PONG↵");
  assertEquals(peer.send("SUBSCRIBE 'big news'\n"), "*3↵$9↵subscribe↵$8↵big news↵:1↵");
});

test("What breaks the protocol is told and ends the connection, and only that one", () => {
  const broker = new Broker();
  const other = new Peer(broker);
  for (const bytes of ["*1\r\n+PING\r\n", "*x\r\n", "PING 'x\r\n", "*1\r\n$4\r\nPING\r\n?"]) {
    const peer = new Peer(broker);
    const answer = peer.send(bytes);
    assertEquals(/^(\+PONG↵)?-ERR Protocol error: [^↵]*↵$/.test(answer), true, answer);
    assertEquals(peer.state, "closed");
  }
  assertEquals(other.say("PING"), "+PONG↵");
  assertEquals(broker.connections.size, 1);
});

test("Any bytes at all are answered or end the connection, and nothing throws", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 }), fc.boolean(), (chunks, resp) => {
      const peer = new Peer(new Broker());
      if (resp) peer.say("PING");
      for (const chunk of chunks) peer.connection.receive(chunk);
    }),
  );
});

test("A client that is gone leaves nothing behind, and is gone once", () => {
  const broker = new Broker();
  const peer = new Peer(broker);
  peer.say("SUBSCRIBE a");
  peer.connection.closed();
  peer.connection.closed();
  assertEquals([broker.connections.size, broker.publish("channel", "a", "x")], [0, 0]);
  assertEquals(peer.say("PING"), "");
  assertEquals(peer.state, "open");
});

test("A sink that answers from within write gets everything in order", () => {
  const broker = new Broker();
  const heard: string[] = [];
  let asked = 0;
  const connection = broker.connect({
    write(bytes) {
      heard.push(new TextDecoder().decode(bytes));
      if (asked < 3) connection.receive(command(`PING ${++asked}`));
    },
    close: () => {},
  });
  connection.receive(command("PING 0"));
  assertEquals(heard, ["$1\r\n0\r\n", "$1\r\n1\r\n", "$1\r\n2\r\n", "$1\r\n3\r\n"]);
});

test("Connections have ids of their own, and say where they come from", () => {
  const broker = new Broker();
  const sink = { write: () => {}, close: () => {} };
  const [one, two] = [broker.connect(sink), broker.connect(sink, { origin: "tcp" })];
  assertEquals([one.id, one.address, two.id, two.address], [1, "memory:1", 2, "tcp:2"]);
});

test("The broker publishes by itself, and counts", () => {
  const broker = new Broker();
  const peer = new Peer(broker);
  peer.say("SUBSCRIBE a");
  peer.say("SSUBSCRIBE a");
  assertEquals(broker.publish("channel", "a", "é"), 1);
  assertEquals(broker.publish("shard", new TextEncoder().encode("a"), new TextEncoder().encode("x")), 1);
  assertEquals(broker.publish("channel", "b", "x"), 0);
  assertEquals(peer.heard(), "*3↵$7↵message↵$1↵a↵$2↵é↵*3↵$8↵smessage↵$1↵a↵$1↵x↵");
  assertEquals([broker.subscriberCount("channel", "a"), broker.subscriberCount("pattern", "a")], [1, 0]);
});

test("A revoked shard channel is taken away with an acknowledgement that nobody asked for", () => {
  const broker = new Broker();
  const [one, two] = [new Peer(broker), new Peer(broker)];
  two.say("HELLO 3");
  one.say("SSUBSCRIBE a");
  two.say("SSUBSCRIBE a b");
  assertEquals(broker.revoke("shard", "a"), 2);
  assertEquals(one.heard(), "*3↵$12↵sunsubscribe↵$1↵a↵:0↵");
  assertEquals(two.heard(), ">3↵$12↵sunsubscribe↵$1↵a↵:1↵");
  assertEquals(broker.revoke("shard", "a"), 0);
  assertThrows(() => broker.revoke("channel", "a"), TypeError, "Cannot revoke a subscription of this kind: channel");
});

test("The refusal of a name goes before that of its command, and that of a subcommand before that of its verb", () => {
  const broker = new Broker();
  broker.refuse("SUBSCRIBE", "NOPERM all");
  broker.refuse("SUBSCRIBE", "NOPERM a", { name: "a" });
  broker.refuse("CLIENT", "NOPERM client");
  broker.refuse("CLIENT ID", "NOPERM id");
  assertEquals(broker.refusal("SUBSCRIBE", ["b", "a"]), "NOPERM a");
  assertEquals(broker.refusal("SUBSCRIBE", ["b"]), "NOPERM all");
  assertEquals(broker.refusal("CLIENT|ID", []), "NOPERM id");
  assertEquals(broker.refusal("CLIENT|LIST", []), "NOPERM client");
  broker.allow("SUBSCRIBE");
  assertEquals(broker.refusal("SUBSCRIBE", ["a"]), undefined);
});

test("Misuse is told at once", () => {
  const broker = new Broker();
  for (const error of ["", "noperm", "ERR two\r\nlines", "-ERR"]) {
    assertThrows(() => broker.refuse("PING", error), TypeError, "An error must be one line");
  }
  for (const protocol of [1, 4]) {
    assertThrows(() => Reflect.construct(Broker, [{ protocol }]), RangeError, `protocol must be 2 or 3: ${protocol}`);
  }
});

test("A push that nobody asked for goes to every connection that speaks RESP3", () => {
  const broker = new Broker();
  const [old, ...peers] = [new Peer(broker), new Peer(broker), new Peer(broker)];
  for (const peer of peers) peer.send(command("HELLO 3"));
  for (const peer of peers) peer.writes();
  assertEquals(broker.push("MOVING", 7, 30, null, "a", Uint8Array.of(0x62)), 2);
  for (const peer of peers) assertEquals(peer.writes(), [">6↵$6↵MOVING↵:7↵:30↵_↵$1↵a↵$1↵b↵"]);
  assertEquals(old!.writes(), []);
});
