import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/errors.ts";
import { decodeName, encodeName } from "../../src/name.ts";
import { type PubSubEvent, PushReader } from "../../src/protocol/push.ts";
import { Reader } from "../../src/resp/reader.ts";
import type { Reply } from "../../src/resp/reply.ts";
import { encodeReply } from "../../src/resp/writer.ts";
import { test } from "../support/test.ts";
import { type Item, item } from "../support/wire.ts";

/** What comes of these elements when a server has sent them, as a push of RESP3 or as an array of RESP2. */
function overTheWire(protocol: 2 | 3, items: readonly Reply[]): PubSubEvent {
  const reader = new Reader();
  reader.feed(encodeReply({ type: "push", value: items }, protocol));
  const reply = reader.next();
  assert(reply?.type === "push" || reply?.type === "array");
  assertEquals(reply.type, protocol === 3 ? "push" : "array");
  return new PushReader().read(reply.value);
}

const payload = Uint8Array.of(0, 0xff, 0x0d, 0x0a);
const binary = Uint8Array.of(0x61, 0xff, 0x00);
const EVENTS: readonly (readonly [items: readonly Item[], event: PubSubEvent])[] = [
  [["message", "a", payload], { type: "message", kind: "channel", channel: "a", pattern: undefined, payload }],
  [["pmessage", "a*", "ab", payload], { type: "message", kind: "pattern", channel: "ab", pattern: "a*", payload }],
  [["smessage", "a", payload], { type: "message", kind: "shard", channel: "a", pattern: undefined, payload }],
  [["message", "", ""], {
    type: "message",
    kind: "channel",
    channel: "",
    pattern: undefined,
    payload: new Uint8Array(),
  }],
  [["message", binary, payload], {
    type: "message",
    kind: "channel",
    channel: "a\udcff\0",
    pattern: undefined,
    payload,
  }],
  [["pmessage", binary, binary, payload], {
    type: "message",
    kind: "pattern",
    channel: "a\udcff\0",
    pattern: "a\udcff\0",
    payload,
  }],
  [["subscribe", "a", 1], { type: "subscribed", kind: "channel", name: "a" }],
  [["psubscribe", "a*", 2], { type: "subscribed", kind: "pattern", name: "a*" }],
  [["ssubscribe", "a", 1], { type: "subscribed", kind: "shard", name: "a" }],
  [["subscribe", binary, 1], { type: "subscribed", kind: "channel", name: "a\udcff\0" }],
  [["unsubscribe", "a", 0], { type: "unsubscribed", kind: "channel", name: "a" }],
  [["punsubscribe", "a*", 0], { type: "unsubscribed", kind: "pattern", name: "a*" }],
  [["sunsubscribe", "a", 0], { type: "unsubscribed", kind: "shard", name: "a" }],
  [["unsubscribe", null, 3], { type: "unsubscribed", kind: "channel", name: undefined }],
  [["punsubscribe", null, 0], { type: "unsubscribed", kind: "pattern", name: undefined }],
  [["sunsubscribe", null, 0], { type: "unsubscribed", kind: "shard", name: undefined }],
  [["pong", ""], { type: "pong" }],
  [["pong", "payload"], { type: "pong" }],
  [["invalidate", "a", "b", "c", "d"], { type: "unknown", label: "invalidate" }],
  [["MESSAGE", "a", "b"], { type: "unknown", label: "MESSAGE" }],
  [["messages"], { type: "unknown", label: "messages" }],
  [[binary, 1], { type: "unknown", label: "a\udcff\0" }],
  [[7, "message"], { type: "unknown", label: "" }],
  [[null], { type: "unknown", label: "" }],
  [[], { type: "unknown", label: "" }],
];

for (const [items, event] of EVENTS) {
  for (const protocol of [3, 2] as const) {
    test(`RESP${protocol} ${JSON.stringify(items.map(String))} is read as ${event.type}`, () => {
      assertEquals(overTheWire(protocol, items.map(item)), event);
    });
  }
}

const MALFORMED: readonly (readonly Item[])[] = [
  ["message"],
  ["message", "a"],
  ["message", "a", "b", "c"],
  ["message", null, "b"],
  ["message", "a", null],
  ["message", "a", 7],
  ["pmessage", "a*", "b"],
  ["pmessage", "a*", "a", "b", "c"],
  ["pmessage", null, "a", "b"],
  ["pmessage", "a*", null, "b"],
  ["pmessage", "a*", "a", null],
  ["smessage", "a", "b", "c"],
  ["smessage", 7, "b"],
  ["subscribe", "a"],
  ["subscribe", "a", 1, 1],
  ["subscribe", "a", "1"],
  ["subscribe", 7, 1],
  ["psubscribe", "a", null],
  ["ssubscribe", "a"],
  ["unsubscribe", "a"],
  ["unsubscribe", null, null],
  ["punsubscribe", 7, 0],
  ["sunsubscribe", "a", "0"],
  ["pong"],
  ["pong", "", ""],
];

for (const items of MALFORMED) {
  for (const protocol of [3, 2] as const) {
    test(`RESP${protocol} ${JSON.stringify(items)} breaks the protocol`, () => {
      assertThrows(() => overTheWire(protocol, items.map(item)), ProtocolError, `malformed push: ${items[0]}`);
    });
  }
}

test("labels and names may be simple or verbatim strings too", () => {
  const label: Reply = { type: "simple-string", value: "message" };
  const channel: Reply = { type: "verbatim-string", format: "txt", value: new TextEncoder().encode("é") };
  assertEquals(overTheWire(3, [label, channel, item(payload)]), {
    type: "message",
    kind: "channel",
    channel: "é",
    pattern: undefined,
    payload,
  });
});

test("a label is known only by all of its bytes", () => {
  const label = Uint8Array.of(...new TextEncoder().encode("messag"), 0xff);
  assertEquals(overTheWire(3, [item(label), item("a"), item("b")]), { type: "unknown", label: "messag\udcff" });
});

/** Many short names, and names that are alike: some long, some not ASCII, some not UTF-8. */
const MANY: readonly Uint8Array[] = [
  ...Array.from({ length: 6_000 }, (_, index) => `room:${index}`),
  ...Array.from({ length: 200 }, (_, index) => `${"long".repeat(16)}${index}`),
  ...Array.from({ length: 200 }, (_, index) => `straße ${index}`),
  ...["", "a", "A", "aa", "\0", "\x7f", "\x80", "\xff", "\udcff", "\ufeffa", "\ufffd"],
].map(encodeName).concat(Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)));

test("the names of each message are its own, however many there are, and however they come", () => {
  const reader = new PushReader();
  const read = (pattern: Uint8Array, channel: Uint8Array) => {
    // Bytes of its own for each, as on the wire.
    const event = reader.read([item("pmessage"), item(pattern.slice()), item(channel.slice()), item("x")]);
    assert(event.type === "message");
    return [event.pattern, event.channel];
  };
  for (let round = 0; round < 3; round++) {
    for (const [index, name] of MANY.entries()) {
      const other = MANY[(index * 7_919) % MANY.length]!;
      const expected = [decodeName(other), decodeName(name)];
      assertEquals(read(other, name), expected);
      if (index % 3 === round) assertEquals(read(other, name), expected);
    }
  }
});

test("a payload is handed on, not copied", () => {
  const event = new PushReader().read([item("message"), item("a"), item(payload)]);
  assert(event.type === "message");
  assertStrictEquals(event.payload, payload);
});

const MOVES = [
  ["host:7001", "host", 7001],
  ["10.0.0.2:6379", "10.0.0.2", 6379],
  ["[fd00::1]:6379", "fd00::1", 6379],
  ["fd00::1:6379", "fd00::1", 6379],
  [null, undefined, 0],
] as const;

for (const [target, host, port] of MOVES) {
  test(`a server that moves to ${target} says so`, () => {
    assertEquals(overTheWire(3, [item("MOVING"), item(7), item(30), item(target)]), {
      type: "moving",
      sequence: 7,
      seconds: 30,
      host,
      port,
    });
  });
}

test("an announcement of another form is not known, and harms nothing", () => {
  const forms = [
    [],
    [7],
    [7, 30],
    ["7", 30, "host:1"],
    [7, "30", "host:1"],
    [7, 30, "host"],
    [7, 30, ":1"],
    [7, 30, 1],
    [
      7,
      30,
      "",
    ],
  ];
  for (const items of forms) {
    assertEquals(overTheWire(3, [item("MOVING"), ...items.map(item)]), { type: "unknown", label: "MOVING" });
  }
});
