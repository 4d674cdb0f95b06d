import { assert, assertEquals, assertThrows } from "@std/assert";
import { type ClientOptions, resolveOptions, type Settings } from "../../src/client/options.ts";
import { systemClock } from "../../src/connection/clock.ts";
import { dial } from "../../src/transport/dial.ts";
import { test } from "../support/test.ts";

type Target = string | URL | ClientOptions | undefined;

test("Without options everything has its documented default", async () => {
  const { link, ...rest } = resolveOptions();
  const { credentials, ...plain } = link;
  assertEquals(rest, {
    endpoint: { host: "localhost", port: 6379, path: undefined, tls: undefined },
    reconnect: { initialDelayMs: 50, maxDelayMs: 5_000, factor: 2, jitter: 0.2, maxAttempts: Infinity },
    waitOnFirstConnect: false,
    closeTimeoutMs: 2_000,
    deniedRetryMs: 30_000,
    canary: false,
    onEvent: undefined,
  });
  assertEquals(plain, {
    dial,
    handshake: { protocol: "auto", clientName: undefined, database: 0 },
    keepAlive: { idleMs: 10_000, timeoutMs: 5_000 },
    connectTimeoutMs: 5_000,
    commandTimeoutMs: 5_000,
    limits: { bulkBytes: 536_870_912, elements: 1_048_576, depth: 128, lineBytes: 65_536 },
    maintenance: false,
    clock: systemClock,
  });
  assertEquals(await credentials(), { username: undefined, password: undefined });
});

const someDial = () => Promise.reject(new Error("No dial in this test"));
const someObserver = () => {};

const SET: readonly [string, ClientOptions, (settings: Settings) => unknown, unknown][] = [
  ["host", { host: "h" }, ({ endpoint }) => endpoint.host, "h"],
  ["port", { port: 1 }, ({ endpoint }) => endpoint.port, 1],
  ["the last port", { port: 65_535 }, ({ endpoint }) => endpoint.port, 65_535],
  ["path", { path: "/run/r.sock" }, ({ endpoint }) => endpoint.path, "/run/r.sock"],
  ["tls: true", { tls: true }, ({ endpoint }) => endpoint.tls, {}],
  ["tls: false", { tls: false }, ({ endpoint }) => endpoint.tls, undefined],
  ["tls", { tls: { serverName: "s" } }, ({ endpoint }) => endpoint.tls, { serverName: "s" }],
  ["caCerts", { tls: { caCerts: ["c"], cert: undefined } as never }, ({ endpoint }) => endpoint.tls?.caCerts, ["c"]],
  ["a pair", { tls: { cert: "c", key: "k" } }, ({ endpoint }) => endpoint.tls, { cert: "c", key: "k" }],
  ["database", { database: 3 }, ({ link }) => link.handshake.database, 3],
  ["clientName", { clientName: "a-b:c" }, ({ link }) => link.handshake.clientName, "a-b:c"],
  ["protocol: auto", { protocol: "auto" }, ({ link }) => link.handshake.protocol, "auto"],
  ["protocol: 2", { protocol: 2 }, ({ link }) => link.handshake.protocol, 2],
  ["protocol: 3", { protocol: 3 }, ({ link }) => link.handshake.protocol, 3],
  ["connectTimeoutMs", { connectTimeoutMs: 1 }, ({ link }) => link.connectTimeoutMs, 1],
  ["commandTimeoutMs", { commandTimeoutMs: 1 }, ({ link }) => link.commandTimeoutMs, 1],
  ["closeTimeoutMs", { closeTimeoutMs: 0 }, ({ closeTimeoutMs }) => closeTimeoutMs, 0],
  ["canary", { keepAlive: { canary: true } }, ({ canary }) => canary, true],
  ["denied: false", { denied: false }, ({ deniedRetryMs }) => deniedRetryMs, Infinity],
  ["denied: {}", { denied: {} }, ({ deniedRetryMs }) => deniedRetryMs, 30_000],
  ["denied", { denied: { retryMs: 1 } }, ({ deniedRetryMs }) => deniedRetryMs, 1],
  ["keepAlive: false", { keepAlive: false }, ({ link }) => link.keepAlive, false],
  ["keepAlive", { keepAlive: { idleMs: 1 } }, ({ link }) => link.keepAlive, { idleMs: 1, timeoutMs: 5_000 }],
  ["keepAlive", { keepAlive: { timeoutMs: 1 } }, ({ link }) => link.keepAlive, { idleMs: 10_000, timeoutMs: 1 }],
  ["reconnect: false", { reconnect: false }, ({ reconnect }) => reconnect, false],
  ["reconnect", { reconnect: { maxAttempts: 0, jitter: 1 } }, ({ reconnect }) => reconnect, {
    initialDelayMs: 50,
    maxDelayMs: 5_000,
    factor: 2,
    jitter: 1,
    maxAttempts: 0,
  }],
  ["waitOnFirstConnect", { waitOnFirstConnect: true }, ({ waitOnFirstConnect }) => waitOnFirstConnect, true],
  ["limits", { limits: { depth: 1 } }, ({ link }) => link.limits.depth, 1],
  ["dial", { dial: someDial }, ({ link }) => link.dial, someDial],
  ["onEvent", { onEvent: someObserver }, ({ onEvent }) => onEvent, someObserver],
];

for (const [name, options, read, expected] of SET) {
  test(`${name} is taken, as the first argument, as the second, and beside a URL`, () => {
    assertEquals(read(resolveOptions(options)), expected);
    assertEquals(read(resolveOptions(undefined, options)), expected);
    assertEquals(read(resolveOptions("redis://", options)), expected);
  });
}

test("The second argument wins over the first", () => {
  const { endpoint } = resolveOptions({ host: "a", port: 1 }, { host: "b" });
  assertEquals([endpoint.host, endpoint.port], ["b", 1]);
});

test("An option that is undefined is one that is not given", async () => {
  const undefinedOptions = { host: undefined, port: undefined, path: undefined, database: undefined, tls: undefined };
  const options = { ...undefinedOptions, password: undefined, url: "redis://:p@h:1/2" } as unknown as ClientOptions;
  const { endpoint, link } = resolveOptions(options);
  assertEquals([endpoint.host, endpoint.port, link.handshake.database], ["h", 1, 2]);
  assertEquals((await link.credentials()).password, "p");
});

const URL_TEXT = "rediss://user:pass@host:7000/5";

const PRECEDENCE: readonly [keyof ClientOptions, ClientOptions, (settings: Settings) => unknown, unknown, unknown][] = [
  ["host", { host: "other" }, ({ endpoint }) => endpoint.host, "host", "other"],
  ["port", { port: 1 }, ({ endpoint }) => endpoint.port, 7_000, 1],
  ["database", { database: 0 }, ({ link }) => link.handshake.database, 5, 0],
  ["tls", { tls: { serverName: "s" } }, ({ endpoint }) => endpoint.tls, {}, { serverName: "s" }],
];

for (const [name, options, read, fromUrl, fromOption] of PRECEDENCE) {
  test(`${name} as an option wins over the URL`, () => {
    for (const url of [URL_TEXT, new URL(URL_TEXT)]) {
      assertEquals(read(resolveOptions(url)), fromUrl);
      assertEquals(read(resolveOptions({ url })), fromUrl);
      assertEquals(read(resolveOptions(url, options)), fromOption);
      assertEquals(read(resolveOptions({ url, ...options })), fromOption);
    }
  });
}

test("User and password come from the URL, unless options say otherwise", async () => {
  const cases: readonly [ClientOptions, unknown][] = [
    [{}, { username: "user", password: "pass" }],
    [{ password: "p" }, { username: "user", password: "p" }],
    [{ username: "u" }, { username: "u", password: "pass" }],
    [{ username: "u", password: "p" }, { username: "u", password: "p" }],
  ];
  for (const [options, expected] of cases) {
    assertEquals(await resolveOptions(URL_TEXT, options).link.credentials(), expected);
  }
});

test("credentials is asked each time, and its answer is passed on", async () => {
  let asked = 0;
  const credentials = () => Promise.resolve({ username: "u", password: String(++asked) });
  const { link } = resolveOptions({ credentials });
  assertEquals([await link.credentials(), await link.credentials()], [
    { username: "u", password: "1" },
    { username: "u", password: "2" },
  ]);
});

test("A unix URL names a socket; host or port as an option leave it", () => {
  const url = "unix:///run/redis.sock";
  assertEquals(resolveOptions(url).endpoint.path, "/run/redis.sock");
  assertEquals(resolveOptions(url, { path: "/other" }).endpoint.path, "/other");
  assertEquals(resolveOptions(url, { host: "h" }).endpoint, { host: "h", port: 6379, path: undefined, tls: undefined });
  assertEquals(resolveOptions(url, { port: 1 }).endpoint.path, undefined);
});

const SECRET = "hunter2";

const REFUSED: readonly [string, Target, ClientOptions, typeof TypeError | typeof RangeError, string][] = [
  ["an unknown option", { hots: "h" } as ClientOptions, {}, TypeError, 'Unknown option of Client: "hots"'],
  ["an unknown one beside a URL", "redis://", { retry: 1 } as ClientOptions, TypeError, 'Client: "retry"'],
  ["an unknown one of keepAlive", { keepAlive: { idle: 1 } as never }, {}, TypeError, 'keepAlive: "idle"'],
  ["an unknown one of reconnect", { reconnect: { max: 1 } as never }, {}, TypeError, 'reconnect: "max"'],
  [
    "a canary that is no boolean",
    { keepAlive: { canary: 1 } as never },
    {},
    TypeError,
    "keepAlive.canary must be a boo",
  ],
  ["an unknown one of denied", { denied: { retry: 1 } as never }, {}, TypeError, 'denied: "retry"'],
  ["an unknown one of limits", { limits: { dept: 1 } as never }, {}, TypeError, 'limits: "dept"'],
  ["an unknown one of tls", { tls: { ca: SECRET } as never }, {}, TypeError, 'Unknown option of tls: "ca"'],
  [
    "one string of caCerts",
    { tls: { caCerts: SECRET } as never },
    {},
    TypeError,
    "tls.caCerts must be an array of str",
  ],
  ["bytes among caCerts", { tls: { caCerts: [1] } as never }, {}, TypeError, "tls.caCerts must be an array of strings"],
  ["a cert of bytes", { tls: { cert: new Uint8Array() } as never }, {}, TypeError, "tls.cert must be a string"],
  ["a serverName of null", { tls: { serverName: null } as never }, {}, TypeError, "tls.serverName must be a string"],
  ["a limit out of range", { limits: { depth: -1 } }, {}, RangeError, "Limit depth must be a whole number"],
  ["two URLs", "redis://a", { url: "redis://b" }, TypeError, "The URL must be given once"],
  ["a URL of another scheme", `http://u:${SECRET}@h`, {}, TypeError, "The scheme of a URL"],
  ["no URL", `u:${SECRET}@h`, {}, TypeError, 'A URL must start with a scheme such as "redis://"'],
  ["a broken URL", `redis://u:${SECRET}@h:port`, {}, TypeError, "Cannot read the URL"],
  ["path with host", { path: "/p", host: "h" }, {}, TypeError, "path must not be combined with host or port"],
  ["path with port", { path: "/p", port: 1 }, {}, TypeError, "path must not be combined with host or port"],
  ["tls: false and rediss", "rediss://h", { tls: false }, TypeError, "tls must not be false with a URL that asks"],
  ["cert without key", { tls: { cert: SECRET } }, {}, TypeError, "tls.cert and tls.key must be given together"],
  ["key without cert", { tls: { key: SECRET } }, {}, TypeError, "tls.cert and tls.key must be given together"],
  ["a user without password", { username: "u" }, {}, TypeError, "username needs a password"],
  ["such a user in a URL", "redis://u@h", {}, TypeError, "username needs a password"],
  [
    "credentials with password",
    { credentials: () => Promise.resolve({}), password: SECRET },
    {},
    TypeError,
    "credentials must not be combined",
  ],
  [
    "credentials with a user in the URL",
    `redis://u:${SECRET}@h`,
    { credentials: () => Promise.resolve({}) },
    TypeError,
    "credentials must not be combined",
  ],
  ["protocol 4", { protocol: 4 as 3 }, {}, RangeError, 'protocol must be "auto", 2 or 3: 4'],
  ["a clientName with a space", { clientName: "a b" }, {}, TypeError, "clientName must hold printable ASCII"],
  ["an empty clientName", { clientName: "" }, {}, TypeError, "clientName must hold printable ASCII"],
  ["a clientName with a line break", { clientName: "a\r\nFLUSHALL" }, {}, TypeError, "clientName must hold"],
];

for (const [name, target, options, kind, expected] of REFUSED) {
  test(`Refused: ${name}; the error repeats no secret`, () => {
    const error = assertThrows(() => resolveOptions(target, options), kind, expected);
    assert(!String(error.stack).includes(SECRET) && error.cause === undefined);
  });
}

/** Every number: its name, how to set it, the least that is taken, and the most. */
const NUMBERS: readonly [string, (value: number) => ClientOptions, number, number][] = [
  ["port", (port) => ({ port }), 1, 65_535],
  ["database", (database) => ({ database }), 0, Number.MAX_SAFE_INTEGER],
  ["connectTimeoutMs", (connectTimeoutMs) => ({ connectTimeoutMs }), 1, Number.MAX_SAFE_INTEGER],
  ["commandTimeoutMs", (commandTimeoutMs) => ({ commandTimeoutMs }), 1, Number.MAX_SAFE_INTEGER],
  ["closeTimeoutMs", (closeTimeoutMs) => ({ closeTimeoutMs }), 0, Number.MAX_SAFE_INTEGER],
  ["keepAlive.idleMs", (idleMs) => ({ keepAlive: { idleMs } }), 1, Number.MAX_SAFE_INTEGER],
  ["keepAlive.timeoutMs", (timeoutMs) => ({ keepAlive: { timeoutMs } }), 1, Number.MAX_SAFE_INTEGER],
  ["reconnect.initialDelayMs", (initialDelayMs) => ({ reconnect: { initialDelayMs } }), 1, Number.MAX_SAFE_INTEGER],
  ["reconnect.maxDelayMs", (maxDelayMs) => ({ reconnect: { maxDelayMs } }), 1, Number.MAX_SAFE_INTEGER],
  ["reconnect.factor", (factor) => ({ reconnect: { factor } }), 1, Number.MAX_SAFE_INTEGER],
  ["reconnect.jitter", (jitter) => ({ reconnect: { jitter } }), 0, 1],
  ["denied.retryMs", (retryMs) => ({ denied: { retryMs } }), 1, Infinity],
  ["reconnect.maxAttempts", (maxAttempts) => ({ reconnect: { maxAttempts } }), 0, Infinity],
];

for (const [name, set, least, most] of NUMBERS) {
  test(`${name} is taken from ${least} to ${most}, and nothing else is`, () => {
    resolveOptions(set(least));
    resolveOptions(set(most));
    const outside = [least - 1, -1, NaN, -Infinity, ...most === Infinity ? [] : [most * 2, Infinity]];
    for (const value of outside) assertThrows(() => resolveOptions(set(value)), RangeError, `${name} must be from`);
    assertThrows(() => resolveOptions(set("1" as unknown as number)), TypeError, `${name} must be a number: string`);
  });
}

for (const name of ["port", "database", "reconnect.maxAttempts"]) {
  test(`${name} must be a whole number`, () => {
    const [, set] = NUMBERS.find(([other]) => other === name)!;
    assertThrows(() => resolveOptions(set(1.5)), RangeError, `${name} must be a whole number: 1.5`);
  });
}

const NAMES: readonly (keyof ClientOptions)[] = [
  ...(["url", "host", "port", "path", "tls", "username", "password", "credentials", "database", "clientName"] as const),
  ...(["protocol", "connectTimeoutMs", "commandTimeoutMs", "closeTimeoutMs", "keepAlive", "reconnect"] as const),
  ...(["waitOnFirstConnect", "denied", "limits", "dial", "onEvent"] as const),
];

for (const name of NAMES) {
  test(`${name} of the wrong type is refused; the error repeats no value`, () => {
    for (const value of [Symbol(SECRET), null, 1n]) {
      const error = assertThrows(() => resolveOptions({ [name]: value }), TypeError, `${name} must be a`);
      assert(!error.message.includes(SECRET));
    }
  });
}

test("what is neither a URL nor options is refused, not taken for the defaults", () => {
  for (const target of [5, true, null, () => {}]) {
    assertThrows(() => resolveOptions(target as unknown as string), TypeError, "A client takes a URL or options");
  }
});
