/** A server that says nothing, or speaks TLS: what is likely is told. */
import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { type LinkOptions, openConnection } from "../../src/connection/link.ts";
import type { Endpoint } from "../../src/endpoint.ts";
import { ConnectionError, ProtocolError, TimeoutError } from "../../src/errors.ts";
import { memoryPair } from "../../src/transport/memory.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { test } from "../support/test.ts";

const PLAIN = { host: "localhost", port: 6379 };
const LOST = "Lost the connection to localhost:6379";
const MUTE = "it may speak TLS on this port: rediss://";
const bytes = (text: string) => new TextEncoder().encode(text);
/** What servers say to bytes that are no TLS. */
const ALERT = Uint8Array.of(0x15, 3, 1, 0, 2, 2, 0x46);

function linkOptions(dial: LinkOptions["dial"], clock = new ManualClock()): LinkOptions {
  return {
    clock,
    dial,
    credentials: () => Promise.resolve({}),
    handshake: { protocol: "auto", database: 0 },
    keepAlive: false,
    connectTimeoutMs: 5_000,
    commandTimeoutMs: 3_000,
    limits: {},
  };
}

/** What ends a connection when the server acts so. */
async function end(endpoint: Endpoint, act: (server: Transport) => void, wrap = (it: Transport) => it) {
  const [client, server] = memoryPair();
  const link = linkOptions(() => Promise.resolve(wrap(client)));
  const connection = await openConnection(endpoint, link, { signal: new AbortController().signal, onEvent: () => {} });
  connection.start();
  await settle();
  act(server);
  return await connection.ended;
}

const close = (server: Transport) => server.close();
const say = (said: Uint8Array) => (server: Transport) => void server.write(said).then(() => server.close());

for (
  const [what, endpoint, act, text] of [
    ["ends before it says a word may speak TLS", PLAIN, close, `${LOST}: the server closed it, ${MUTE}`],
    ["answers with an alert of TLS speaks TLS", PLAIN, say(ALERT), `${LOST}: ${MUTE}`],
    ["has spoken is not suspected", PLAIN, say(bytes("%0\r\n")), `${LOST}: the server closed it`],
    ["speaks neither is told by its bytes", PLAIN, say(Uint8Array.of(0x14, 3)), undefined],
    [
      "speaks TLS, and is spoken to in it, is not suspected",
      { ...PLAIN, tls: {} },
      close,
      `${LOST}: the server closed it`,
    ],
  ] as const
) {
  test(`a server that ${what}`, async () => {
    const cause = await end(endpoint, act);
    if (text === undefined) assertInstanceOf(cause, ProtocolError);
    else assertEquals([cause.name, cause.message], ["ConnectionError", text]);
  });
}

test("a server that resets the connection before it says a word may speak TLS, also where a write hears of it", async () => {
  for (const broken of ["read", "write"] as const) {
    const reset = new ConnectionError(`${LOST}: connection reset by the peer`);
    const wrap = (it: Transport): Transport => ({
      read: async (room) => await it.read(room) ?? Promise.reject(reset),
      write: (bytes) => it.write(bytes),
      close: () => it.close(),
      ...broken === "write" ? { write: () => Promise.reject(reset) } : {},
    });
    const cause = await end(PLAIN, close, wrap);
    assertEquals([cause.message, cause.cause], [`${LOST}: connection reset by the peer, ${MUTE}`, reset]);
  }
});

test("a server behind a unix socket is not suspected", async () => {
  const cause = await end({ ...PLAIN, path: "/run/redis.sock" }, close);
  assertEquals(cause.message, "Lost the connection to unix:/run/redis.sock: the server closed it");
});

test("a server that lets the handshake of TLS wait may not speak it, which the deadline tells", async () => {
  for (const tls of [undefined, {}]) {
    const clock = new ManualClock();
    const link = linkOptions(() => new Promise<never>(() => {}), clock);
    const opening = openConnection({ ...PLAIN, tls }, link, {
      signal: new AbortController().signal,
      onEvent: () => {},
    });
    const refused = assertRejects(() => opening, TimeoutError);
    await clock.advance(5_000);
    const connecting = "No answer within 5000 ms: Connecting to localhost:6379";
    assertEquals((await refused).message, tls ? `${connecting}, which may not speak TLS on this port` : connecting);
  }
});
