import { assert, assertEquals, assertThrows } from "@std/assert";
import { endpointText, parseUrl, type Target } from "../src/endpoint.ts";
import { test } from "./support/test.ts";

const TEXTS: readonly (readonly [Target["endpoint"], string])[] = [
  [{ host: "localhost", port: 6379 }, "localhost:6379"],
  [{ host: "10.0.0.1", port: 1, tls: {} }, "10.0.0.1:1"],
  [{ host: "::1", port: 6379 }, "[::1]:6379"],
  [{ host: "localhost", port: 6379, path: "/run/redis.sock" }, "unix:/run/redis.sock"],
];

for (const [endpoint, text] of TEXTS) {
  test(`an endpoint is shown as ${text}`, () => assertEquals(endpointText(endpoint), text));
}

interface Row {
  readonly endpoint: Target["endpoint"];
  readonly username?: string;
  readonly password?: string;
  readonly database?: number;
}

const local = { host: "localhost", port: 6379 };
const GOOD: readonly (readonly [url: string, expected: Row])[] = [
  ["redis://", { endpoint: local }],
  ["redis://localhost", { endpoint: local }],
  ["redis://localhost/", { endpoint: local }],
  ["REDIS://localhost:6379/0", { endpoint: local, database: 0 }],
  ["valkey://10.0.0.1:7000/15", { endpoint: { host: "10.0.0.1", port: 7000 }, database: 15 }],
  ["redis://localhost?db=3", { endpoint: local, database: 3 }],
  ["redis://localhost/?db=3", { endpoint: local, database: 3 }],
  ["rediss://cache.example:6380", { endpoint: { host: "cache.example", port: 6380, tls: {} } }],
  ["valkeys://cache.example", { endpoint: { host: "cache.example", port: 6379, tls: {} } }],
  ["redis://[::1]:7000/1", { endpoint: { host: "::1", port: 7000 }, database: 1 }],
  ["rediss://[2001:db8::7]", { endpoint: { host: "2001:db8::7", port: 6379, tls: {} } }],
  ["redis://:hunter2@localhost", { endpoint: local, password: "hunter2" }],
  ["redis://alice@localhost", { endpoint: local, username: "alice" }],
  ["redis://alice:hunter2@localhost", { endpoint: local, username: "alice", password: "hunter2" }],
  [
    "redis://al%3Aice:p%40ss%2Fw%23rd%3F%25@localhost",
    { endpoint: local, username: "al:ice", password: "p@ss/w#rd?%" },
  ],
  ["redis://alice:p:q@localhost", { endpoint: local, username: "alice", password: "p:q" }],
  ["redis://alice:%C3%A9%E2%82%AC@localhost", { endpoint: local, username: "alice", password: "é€" }],
  ["unix:///run/redis.sock", { endpoint: { ...local, path: "/run/redis.sock" } }],
  ["unix:///run/my%20redis.sock?db=2", { endpoint: { ...local, path: "/run/my redis.sock" }, database: 2 }],
];

for (const [url, { endpoint, username, password, database }] of GOOD) {
  test(`reads ${url}`, () => {
    const expected = { endpoint, username, password, database };
    assertEquals({ ...parseUrl(url) }, expected);
    // The class URL normalizes; what it means stays the same, save that it insists on a slash.
    if (url !== "redis://") assertEquals({ ...parseUrl(new URL(url)) }, expected);
  });
}

const SECRET = "hunter2";
const BAD: readonly (readonly [url: string, says: string])[] = [
  ["", "must start with a scheme"],
  ["localhost:6379", "must start with a scheme"],
  [`alice:${SECRET}@localhost:6379`, "must start with a scheme"],
  [`redis:/alice:${SECRET}@localhost`, "must start with a scheme"],
  [`http://alice:${SECRET}@localhost`, "must be one of redis: valkey: rediss: valkeys: unix:"],
  [`__proto__://alice:${SECRET}@localhost`, "must start with a scheme"],
  [`constructor://alice:${SECRET}@localhost`, "must be one of"],
  [`redis://alice:${SECRET}@localhost:99999`, "percent-encode the special characters"],
  [`redis://alice:${SECRET}@local host`, "percent-encode the special characters"],
  [`redis://alice:${SECRET}/x@localhost`, "percent-encode the special characters"],
  [`redis://alice:${SECRET}%zz@localhost`, "the password of the URL: its percent-encoding is broken"],
  [`redis://${SECRET}%ff:x@localhost`, "the user of the URL: its percent-encoding is broken"],
  [`redis://alice:${SECRET}@localhost/#0`, 'percent-encode "#"'],
  [`redis://alice:6#${SECRET}@localhost`, 'percent-encode "#"'],
  [`redis://alice:${SECRET}@localhost/one`, "must be a number"],
  [`redis://alice:${SECRET}@localhost/-1`, "must be a number"],
  [`redis://alice:${SECRET}@localhost/1/2`, "must be a number"],
  [`redis://alice:/${SECRET}@localhost`, "percent-encode"],
  [`redis://alice:1?${SECRET}@localhost`, "percent-encode"],
  [`redis://alice:1#${SECRET}@localhost`, "percent-encode"],
  [`redis://alice:${SECRET}@localhost/1234567890`, "must be a number"],
  [`redis://alice:${SECRET}@localhost/?db=x`, "must be a number"],
  [`redis://alice:${SECRET}@localhost/1?db=1`, "must name its database once"],
  [`redis://alice:${SECRET}@localhost/?timeout=1`, 'no parameter but "db"'],
  ["unix://", "must have an absolute path"],
  ["unix:///", "must have an absolute path"],
  ["unix://run/redis.sock", "must have an absolute path and no host"],
  [`unix://alice:${SECRET}@localhost/run/redis.sock`, "must have an absolute path and no host"],
  [`unix://alice:${SECRET}@/run/redis.sock`, "percent-encode the special characters"],
];

for (const [url, says] of BAD) {
  test(`refuses ${JSON.stringify(url)}, and repeats no secret`, () => {
    const error = assertThrows(() => parseUrl(url), TypeError, says);
    for (let shown: unknown = error; shown instanceof Error; shown = shown.cause) {
      assert(!`${shown.message}${shown.stack}`.replaceAll(import.meta.url, "").includes(SECRET), shown.message);
    }
  });
}
