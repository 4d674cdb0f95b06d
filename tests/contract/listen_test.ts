import { join } from "node:path";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { deadline } from "@std/async";
import { ConnectionError } from "../../src/errors.ts";
import { dial } from "../../src/transport/dial.ts";
import { listen } from "../../src/transport/listen.ts";
import { test } from "../support/test.ts";
import { certified, pem, temporaryDirectory } from "./socket_leaf.ts";

const LIMIT_MS = 5_000;
const never = () => new AbortController().signal;

test("listen: by default on a free port of the loopback", async () => {
  await using server = await listen({}, () => {});
  assertEquals([server.host, server.path], ["127.0.0.1", undefined]);
  assert(server.port > 0);
});

test("listen: a unix socket has a path and no port", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "socket");
  await using server = await listen({ path }, () => {});
  assertEquals([server.host, server.port, server.path], ["localhost", 0, path]);
});

test("listen: a port that is taken is told by its number, and can be taken again after close", async () => {
  const first = await listen({}, () => {});
  const text = `127.0.0.1:${first.port}`;
  const error = await assertRejects(() => listen({ port: first.port }, () => {}), ConnectionError);
  assertEquals(error.message, `Cannot listen on ${text}: the address is already in use`);
  assertEquals(error.endpoint, text);
  await first.close();
  await first.close();
  await (await listen({ port: first.port }, () => {})).close();
});

test("listen: a path where no socket can be made is told", async () => {
  await assertRejects(
    () => listen({ path: "/no/such/directory/socket" }, () => {}),
    ConnectionError,
    "Cannot listen on",
  );
});

for (const tls of [undefined, certified("localhost")]) {
  test(`listen${tls === undefined ? "" : " with TLS"}: close ends the accepted connections`, async () => {
    let accept: () => void = () => {};
    const accepted = new Promise<void>((resolve) => accept = resolve);
    const server = await listen(tls === undefined ? {} : { tls }, accept);
    const options = tls === undefined ? undefined : { caCerts: [pem("ca.pem")] };
    const near = await dial({ host: "127.0.0.1", port: server.port, tls: options }, { signal: never() });
    await accepted;
    await deadline(server.close(), LIMIT_MS);
    const end = await deadline(near.read(), LIMIT_MS).catch((error: unknown) => error);
    assert(end === undefined || end instanceof ConnectionError);
    near.close();
  });
}

test("listen with TLS: close does not wait for a handshake that never ends", async () => {
  const server = await listen({ tls: certified("localhost") }, () => {});
  const near = await dial({ host: "127.0.0.1", port: server.port }, { signal: never() });
  await near.write(new Uint8Array([22]));
  await deadline(server.close(), LIMIT_MS);
  near.close();
});

test("listen with TLS: a peer that speaks no TLS is dropped, and the next one is served", async () => {
  await using server = await listen({ tls: certified("localhost") }, (far) => far.write(new Uint8Array([7])));
  const stranger = await dial({ host: "127.0.0.1", port: server.port }, { signal: never() });
  await stranger.write(new TextEncoder().encode("Good day, is this the right port?\r\n"));
  await deadline(stranger.read().catch((error: unknown) => assert(error instanceof ConnectionError)), LIMIT_MS);
  stranger.close();
  const endpoint = { host: "127.0.0.1", port: server.port, tls: { caCerts: [pem("ca.pem")] } };
  const near = await dial(endpoint, { signal: never() });
  assertEquals(await deadline(near.read(), LIMIT_MS), new Uint8Array([7]));
  near.close();
});
