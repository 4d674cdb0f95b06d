/** Which leaf serves which endpoint. */

import { join } from "node:path";
import { assertEquals, assertRejects } from "@std/assert";
import { deadline } from "@std/async";
import type { Endpoint } from "../../src/endpoint.ts";
import { ConnectionError } from "../../src/errors.ts";
import { dial } from "../../src/transport/dial.ts";
import { listen } from "../../src/transport/listen.ts";
import { REASONS } from "../../src/transport/transport.ts";
import { test } from "../support/test.ts";
import { serveToCertified } from "./dial_contract.ts";
import { certified, pem, temporaryDirectory } from "./socket_leaf.ts";

const LIMIT_MS = 5_000;
const caCerts = [pem("ca.pem")];

async function firstText(endpoint: Endpoint): Promise<string> {
  const transport = await deadline(dial(endpoint, { signal: new AbortController().signal }), LIMIT_MS);
  const chunk = await deadline(transport.read(), LIMIT_MS).finally(() => transport.close());
  return new TextDecoder().decode(chunk);
}

test("dial: TCP, TLS, a unix socket, and TLS over a unix socket", async () => {
  await using directory = await temporaryDirectory();
  for (
    const [name, options] of [
      ["tcp", {}],
      ["tls", { tls: certified("localhost") }],
      ["unix", { path: join(directory.path, "plain") }],
      ["tls over unix", { path: join(directory.path, "tls"), tls: certified("localhost") }],
    ] as const
  ) {
    await using server = await listen(options, (far) => far.write(new TextEncoder().encode(name)));
    const secure = name.startsWith("tls") ? { caCerts } : undefined;
    assertEquals(await firstText({ host: "localhost", port: server.port, path: server.path, tls: secure }), name);
  }
});

test("dial: a client certificate together with a server name that is not the host, which is still checked", async () => {
  await using server = await serveToCertified();
  const endpoint = { host: "127.0.0.1", port: server.port };
  const options = { caCerts, ...certified("client") };
  assertEquals(await firstText({ ...endpoint, tls: { ...options, serverName: "localhost" } }), "client");
  await assertRejects(
    () => firstText({ ...endpoint, tls: { ...options, serverName: "other.test" } }),
    ConnectionError,
    REASONS.wrongName,
  );
});
