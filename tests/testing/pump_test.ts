import { assertEquals } from "@std/assert";
import { Broker } from "../../src/broker/broker.ts";
import { ConnectionError } from "../../src/errors.ts";
import { type Faults, Pump } from "../../src/testing/pump.ts";
import { memoryPair } from "../../src/transport/memory.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { test } from "../support/test.ts";
import { RawClient, settle } from "./raw_client.ts";

function start(options: { capacity?: number; outputLimitBytes?: number; far?: Transport } = {}) {
  const { capacity = 1_000_000, outputLimitBytes = 1_000_000 } = options;
  const [near, far] = memoryPair({ capacity });
  const broker = new Broker();
  const faults: Faults = { flow: "flowing", pieceBytes: Infinity };
  const closed: Pump[] = [];
  const commands: string[] = [];
  const pump = new Pump(options.far ?? far, broker, {
    faults,
    outputLimitBytes,
    origin: "memory",
    onCommand: (words) => commands.push(words[0]!),
    onClosed: (pump) => closed.push(pump),
  });
  return { broker, pump, faults, closed, commands, client: new RawClient(near) };
}

test("Each flush of the broker is one read of the client", async () => {
  const { client, pump } = start();
  await client.say("SUBSCRIBE a", "PING");
  assertEquals(await client.hear(), "*3↵$9↵subscribe↵$1↵a↵:1↵*2↵$4↵pong↵$0↵↵");
  client.transport.close();
  await pump.ended;
});

test("A client that goes is forgotten, told of once, and leaves nothing running", async () => {
  const { broker, client, pump, closed } = start();
  await client.ask("SUBSCRIBE a");
  client.transport.close();
  await pump.ended;
  pump.drop();
  assertEquals([broker.connections.size, broker.subscriberCount("channel", "a"), closed.length], [0, 0, 1]);
});

test("A connection that breaks is over like one that ends", async () => {
  const lost = new ConnectionError("Connection lost");
  const [, far] = memoryPair();
  for (
    const broken of [
      { read: () => Promise.reject(lost), write: () => Promise.resolve(), close: () => far.close() },
      { read: () => far.read(), write: () => Promise.reject(lost), close: () => far.close() },
    ]
  ) {
    const { broker, pump, closed } = start({ far: broken });
    for (const connection of broker.connections.values()) connection.receive(new TextEncoder().encode("PING\r\n"));
    await pump.ended;
    assertEquals([broker.connections.size, closed.length], [0, 1]);
  }
});

test("After QUIT the client hears the answer, then the end", async () => {
  const { client, pump, closed } = start();
  await client.say("SUBSCRIBE a", "QUIT", "PING");
  assertEquals(await client.hear(), "*3↵$9↵subscribe↵$1↵a↵:1↵+OK↵");
  assertEquals(await client.hear(), undefined);
  await pump.ended;
  assertEquals(closed.length, 1);
});

test("A client that does not read is cut off at the limit, with no word, and costs the others nothing", async () => {
  const { broker, client, pump, closed } = start({ capacity: 40, outputLimitBytes: 1_000 });
  await client.ask("SUBSCRIBE a");
  let published = 0;
  while (broker.publish("channel", "a", "x".repeat(100)) === 1) {
    published += 1;
    if (published > 20) break;
  }
  await pump.ended;
  assertEquals([published, closed.length], [8, 1]);
});

test("What a slow client has taken does not count for the limit", async () => {
  const { broker, client, pump, closed } = start({ capacity: 40, outputLimitBytes: 1_000 });
  await client.ask("SUBSCRIBE a");
  for (let n = 0; n < 50; n++) {
    broker.publish("channel", "a", "x".repeat(100));
    assertEquals((await client.hear())?.includes("$100↵xxx"), true);
  }
  assertEquals(closed.length, 0);
  pump.drop();
  await pump.ended;
});

test("A freeze stops in the middle of a write, and the thaw goes on at the very byte", async () => {
  const { broker, client, pump, faults } = start({ capacity: 1 });
  await client.ask("SUBSCRIBE a");
  faults.pieceBytes = 7;
  let heard = "";
  let frozenAfter = 0;
  const reading = (async () => {
    for (let chunk = await client.transport.read(); chunk !== undefined; chunk = await client.transport.read()) {
      heard += new TextDecoder().decode(chunk);
      if (frozenAfter > 0) continue;
      frozenAfter = heard.length;
      faults.flow = "frozen";
    }
  })();
  broker.publish("channel", "a", "first");
  broker.publish("channel", "a", "second");
  await settle();
  assertEquals([frozenAfter, heard.length < 30], [7, true], `${heard.length} bytes came through the freeze`);
  faults.flow = "flowing";
  pump.thaw();
  await settle();
  const [first, second] = ["$5\r\nfirst", "$6\r\nsecond"].map((payload) => {
    return `*3\r\n$7\r\nmessage\r\n$1\r\na\r\n${payload}\r\n`;
  });
  assertEquals(heard, `${first}${second}`);
  pump.drop();
  await Promise.all([reading, pump.ended]);
});

test("What a frozen client has said, its end included, is heard at the thaw, in order", async () => {
  const { broker, client, pump, faults, commands } = start();
  faults.flow = "frozen";
  await client.say("SUBSCRIBE a");
  await client.say("PING");
  client.transport.close();
  await settle();
  assertEquals([broker.connections.size, commands], [1, []]);
  faults.flow = "flowing";
  pump.thaw();
  await pump.ended;
  await settle();
  assertEquals([broker.connections.size, commands], [0, ["SUBSCRIBE", "PING"]]);
});
