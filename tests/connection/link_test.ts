import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { authenticate, identify, type LinkOptions, openConnection } from "../../src/connection/link.ts";
import { ConnectionError, ReplyError, TimeoutError } from "../../src/errors.ts";
import { memoryPair } from "../../src/transport/memory.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { ModelNetwork } from "../support/model_network.ts";
import { test } from "../support/test.ts";
import { refusal } from "../support/wire.ts";

const endpoint = { host: "localhost", port: 6379 };

function linkOptions(options: Partial<LinkOptions> & Pick<LinkOptions, "dial" | "clock">): LinkOptions {
  return {
    credentials: () => Promise.resolve({}),
    handshake: { protocol: "auto", database: 0 },
    keepAlive: false,
    connectTimeoutMs: 5_000,
    commandTimeoutMs: 3_000,
    limits: {},
    ...options,
  };
}

const open = { signal: new AbortController().signal, onEvent: () => {} };

test("a link asks for credentials, dials, and leaves no timer; the handshake carries what it was given", async () => {
  const clock = new ManualClock();
  const network = new ModelNetwork();
  const link = linkOptions({
    clock,
    dial: network.dial,
    credentials: () => Promise.resolve({ username: "alice", password: "hunter2" }),
    handshake: { protocol: "auto", clientName: "app", database: 0 },
  });
  const connection = await openConnection(endpoint, link, open);
  assertEquals(clock.pending, 0);
  connection.start();
  await settle();
  assertEquals(network.last.peer.commands, ["HELLO 3 AUTH alice hunter2 SETNAME app"]);
  connection.abort(new ConnectionError("Enough"));
  await settle();
  assertEquals([network.open, clock.pending], [0, 0]);
});

test("credentials are asked for anew for each connection", async () => {
  const clock = new ManualClock();
  const network = new ModelNetwork();
  let asked = 0;
  const credentials = () => Promise.resolve({ password: `token-${++asked}` });
  for (const expected of ["token-1", "token-2"]) {
    const connection = await openConnection(endpoint, linkOptions({ clock, dial: network.dial, credentials }), open);
    connection.start();
    await settle();
    assertEquals(network.last.peer.commands, [`HELLO 3 AUTH default ${expected}`]);
    connection.abort(new ConnectionError("Enough"));
  }
});

test("errors of this library pass as they are, any other becomes a ConnectionError with its cause", async () => {
  const clock = new ManualClock();
  const own = new ReplyError("DENIED no", "CONNECT");
  const dialOwn = linkOptions({ clock, dial: () => Promise.reject(own) });
  assertStrictEquals(await assertRejects(() => openConnection(endpoint, dialOwn, open), ReplyError), own);
  const foreign = new TypeError("hunter2 is wrong");
  for (
    const link of [
      linkOptions({ clock, dial: () => Promise.reject(foreign) }),
      linkOptions({ clock, dial: new ModelNetwork().dial, credentials: () => Promise.reject(foreign) }),
    ]
  ) {
    const error = await assertRejects(() => openConnection(endpoint, link, open), ConnectionError);
    assertEquals([error.message, error.endpoint], ["Cannot connect to localhost:6379", "localhost:6379"]);
    assertStrictEquals(error.cause, foreign);
  }
  assertEquals(clock.pending, 0);
});

/** A link that hangs while it dials, or while it asks for credentials, and lets go when told. */
function hanging(where: "dial" | "credentials"): {
  clock: ManualClock;
  link: LinkOptions;
  signals: AbortSignal[];
  arrive: () => Transport;
} {
  const clock = new ManualClock();
  const [client, server] = memoryPair();
  const signals: AbortSignal[] = [];
  let arrive = (_: Transport) => {};
  const late = new Promise<Transport>((resolve) => arrive = resolve);
  const link = linkOptions({
    clock,
    dial: (_, { signal }) => {
      signals.push(signal);
      return late;
    },
    ...where === "credentials" ? { credentials: () => new Promise<never>(() => {}) } : {},
  });
  return {
    clock,
    link,
    signals,
    arrive: () => {
      arrive(client);
      return server;
    },
  };
}

for (const where of ["dial", "credentials"] as const) {
  test(`a link that hangs in ${where} times out, and the dial is told`, async () => {
    const { clock, link, signals } = hanging(where);
    const opening = openConnection(endpoint, link, open);
    const rejected = assertRejects(() => opening, TimeoutError, "Connecting to localhost:6379");
    await clock.advance(4_999);
    assertEquals(clock.pending, 1);
    await clock.advance(1);
    await rejected;
    assertEquals([clock.pending, signals.map(({ aborted }) => aborted)], [0, where === "dial" ? [true] : []]);
  });

  test(`a link that hangs in ${where} is given up when it is told to`, async () => {
    const { clock, link, signals } = hanging(where);
    const abort = new AbortController();
    const reason = new ConnectionError("Closed");
    const opening = openConnection(endpoint, link, { ...open, signal: abort.signal });
    const rejected = assertRejects(() => opening, ConnectionError);
    await settle();
    abort.abort(reason);
    assertStrictEquals(await rejected, reason);
    assertEquals([clock.pending, signals.map(({ reason }) => reason)], [0, where === "dial" ? [reason] : []]);
  });
}

test("a link that is given up beforehand neither asks nor dials", async () => {
  const clock = new ManualClock();
  const network = new ModelNetwork();
  let asked = 0;
  const link = linkOptions({
    clock,
    dial: network.dial,
    credentials: () => Promise.resolve({ username: `${asked++}` }),
  });
  const reason = new ConnectionError("Closed");
  const opening = openConnection(endpoint, link, { ...open, signal: AbortSignal.abort(reason) });
  assertStrictEquals(await assertRejects(() => opening, ConnectionError), reason);
  assertEquals([asked, network.dials, clock.pending], [0, 0, 0]);
});

test("a socket that comes too late is closed", async () => {
  const { clock, link, arrive } = hanging("dial");
  const rejected = assertRejects(() => openConnection(endpoint, link, open), TimeoutError);
  await clock.advance(5_000);
  await rejected;
  const server = arrive();
  await settle();
  assertEquals(await server.read(), undefined);
});

test("a connection has its own deadline for the handshake, after that for dialling", async () => {
  const clock = new ManualClock();
  const network = new ModelNetwork({ answer: () => [] });
  const connection = await openConnection(endpoint, linkOptions({ clock, dial: network.dial }), open);
  connection.start();
  await clock.advance(6_000);
  const cause = await connection.ended;
  assert(cause instanceof TimeoutError);
  assertEquals([cause.what, cause.ms, clock.pending, network.open], ["HELLO", 5_000, 0, 0]);
});

test("expiresAt may be a date or milliseconds, must be in the future, and goes with the connection", async () => {
  const clock = new ManualClock();
  const network = new ModelNetwork();
  const now = clock.date();
  const asked = (expiresAt: unknown) =>
    linkOptions({ clock, dial: network.dial, credentials: () => Promise.resolve({ expiresAt: expiresAt as number }) });
  for (const expiresAt of [now + 1, new Date(now + 1), undefined]) {
    const expected = expiresAt && now + 1;
    assertEquals((await identify(asked(expiresAt))).expiresAt, expected);
    const connection = await openConnection(endpoint, asked(expiresAt), open);
    assertEquals(connection.expiresAt, expected);
    connection.abort(new ConnectionError("Enough"));
  }
  for (const expiresAt of [now, 0, -1, NaN, new Date(NaN), new Date(now), Math.floor(now / 1_000)]) {
    await assertRejects(
      () => identify(asked(expiresAt)),
      RangeError,
      "expiresAt must be in the future, in milliseconds",
    );
    const { cause } = await assertRejects(() => openConnection(endpoint, asked(expiresAt), open), ConnectionError);
    assert(cause instanceof RangeError);
  }
  for (const expiresAt of ["2030-01-01", null, {}]) {
    await assertRejects(
      () => identify(asked(expiresAt)),
      TypeError,
      `expiresAt must be a Date or a number: ${typeof expiresAt}`,
    );
  }
});

test("AUTH on a live connection says what the protocol knows, and tells a refusal without the credentials", async () => {
  const clock = new ManualClock();
  let answer: "OK" | "refuse" = "OK";
  const network = new ModelNetwork({
    answer: ([verb, user, password]) =>
      verb === "AUTH" && answer === "refuse" ? [refusal(`WRONGPASS ${user} ${password} is wrong`)] : undefined,
  });
  const connection = await openConnection(endpoint, linkOptions({ clock, dial: network.dial }), open);
  connection.start();
  await settle();
  await authenticate(connection, {}, 3);
  await authenticate(connection, { password: "hunter2" }, 2);
  await authenticate(connection, { password: "hunter2" }, 3);
  await authenticate(connection, { username: "alice", password: "hunter2" }, 2);
  assertEquals(network.last.peer.commands.slice(1), ["AUTH hunter2", "AUTH default hunter2", "AUTH alice hunter2"]);
  answer = "refuse";
  const identity = { username: "alice", password: "hunter2" };
  const error = await assertRejects(() => authenticate(connection, identity, 3), ReplyError);
  assertEquals([error.code, error.message], ["WRONGPASS", "AUTH was refused: WRONGPASS *** *** is wrong"]);
  network.last.state = "frozen";
  const lost = assertRejects(() => authenticate(connection, identity, 3), ConnectionError, "Enough");
  connection.abort(new ConnectionError("Enough"));
  await lost;
});
