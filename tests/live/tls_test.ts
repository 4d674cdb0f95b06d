/** What goes wrong with TLS, each on a real server: an error that says which, at once. */

import { Client, ConnectionError, TimeoutError } from "@earshot/redis";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { deadline } from "@std/async";
import { execFile } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { TlsOptions } from "../../src/endpoint.ts";
import { REASONS } from "../../src/transport/transport.ts";
import { inTime } from "../support/ground.ts";
import { testUnless } from "../support/skip.ts";
import { type Certificate, fixture, NO_FILES, pem, startTls } from "../support/tls_server.ts";

/** No refusal may take longer. */
const LIMIT_MS = 3_000;
const AUTH = ["--tls-auth-clients", "yes"];
const OLD = [...AUTH, "--tls-protocols", "TLSv1.2"];

interface Case {
  readonly certificate?: Certificate;
  readonly args?: readonly string[];
  readonly host?: string;
  readonly tls?: TlsOptions;
  /** What the error says; none where all is well. */
  readonly says?: string;
}

const caCerts = [pem("ca.pem")];
const client = { cert: pem("client.pem"), key: pem("client.key") };

const CASES: Record<string, Case> = {
  "a good certificate": { tls: { caCerts } },
  "a good certificate, by address": { host: "127.0.0.1", tls: { caCerts } },
  "an unknown authority": { tls: {}, says: REASONS.untrusted },
  "a certificate that signs itself": { certificate: "stranger", tls: { caCerts }, says: REASONS.untrusted },
  "an expired certificate": { certificate: "expired", tls: { caCerts }, says: REASONS.expired },
  "another host's certificate": { certificate: "other", tls: { caCerts }, says: REASONS.wrongName },
  "another host's certificate on purpose": { certificate: "other", tls: { caCerts, serverName: "other.test" } },
  "a wrong name on purpose": { tls: { caCerts, serverName: "other.test" }, says: REASONS.wrongName },
  "a client certificate": { args: AUTH, tls: { caCerts, ...client } },
  "a client certificate and a name": {
    host: "127.0.0.1",
    args: AUTH,
    tls: { caCerts, ...client, serverName: "localhost" },
  },
  "no client certificate": { args: AUTH, tls: { caCerts }, says: REASONS.noCertificate },
  "a client certificate of an unknown authority": {
    args: AUTH,
    tls: { caCerts, cert: pem("stranger.pem"), key: pem("stranger.key") },
    says: REASONS.badCertificate,
  },
  "a client certificate that is for servers": {
    args: AUTH,
    tls: { caCerts, cert: pem("localhost.pem"), key: pem("localhost.key") },
    says: REASONS.badCertificate,
  },
  "a client certificate with the key of another": {
    args: AUTH,
    tls: { caCerts, ...client, key: pem("other.key") },
    says: REASONS.unusable,
  },
  "a client certificate that is no PEM": { args: AUTH, tls: { caCerts, ...client, cert: "?" }, says: REASONS.unusable },
  "a client certificate over TLS 1.2": { args: OLD, tls: { caCerts, ...client } },
  "no client certificate over TLS 1.2": { args: OLD, tls: { caCerts }, says: REASONS.endedInHandshake },
};

/** Over a connection of its own, and over the one for commands. */
function runs(redis: Client): (() => Promise<unknown>)[] {
  return [() => redis.subscribe("news"), () => redis.publish("news", "hello")];
}

for (const [what, { certificate, args, host = "localhost", tls, says }] of Object.entries(CASES)) {
  testUnless(NO_FILES, `TLS: ${what} is ${says === undefined ? "accepted" : "refused in words"}`, async () => {
    await using server = await startTls(certificate, args);
    await using redis = new Client({ host, port: server.tlsPort, tls: tls ?? false });
    for (const run of runs(redis)) {
      if (says === undefined) await inTime(run());
      else {
        const error = await assertRejects(() => deadline(run(), LIMIT_MS), ConnectionError);
        assertStringIncludes(error.message, `${host}:${server.tlsPort}`);
        assertStringIncludes(error.message, says);
        assertEquals(error.endpoint, `${host}:${server.tlsPort}`);
        assert(!error.message.includes("PRIVATE"));
      }
    }
  });
}

for (const protocol of [undefined, 2] as const) {
  testUnless(NO_FILES, `A plain client on a TLS port is told so${protocol ? ", in RESP2 too" : ""}`, async () => {
    await using server = await startTls();
    await using redis = new Client({ port: server.tlsPort, ...protocol ? { protocol } : {} });
    for (const run of runs(redis)) {
      const error = await assertRejects(() => deadline(run(), LIMIT_MS), ConnectionError);
      const message = `${error.message} ${error.cause instanceof Error ? error.cause.message : ""}`;
      assertStringIncludes(message, `localhost:${server.tlsPort}`);
      assertStringIncludes(message, "it may speak TLS on this port: rediss://");
    }
  });
}

testUnless(
  NO_FILES,
  "A client with TLS on a plain port is told so, at its deadline where Redis waits for more",
  async () => {
    await using server = await startTls();
    await using redis = new Client({ port: server.port, tls: { caCerts }, connectTimeoutMs: 500 });
    for (const run of runs(redis)) {
      const error = await assertRejects(() => deadline(run(), LIMIT_MS), Error);
      // By chance the first bytes of TLS hold a line feed, and Redis answers that it knows no such command.
      assert(error instanceof TimeoutError || error instanceof ConnectionError);
      assertStringIncludes(error.message, "not speak TLS on this port");
      assertStringIncludes(error.message, `localhost:${server.port}`);
    }
  },
);

testUnless(NO_FILES, "The roots of the system count, and those of the runtime's environment", async () => {
  await using server = await startTls();
  const main = fileURLToPath(import.meta.resolve("@earshot/redis/cli"));
  const run = "Deno" in globalThis ? ["run", "--allow-net", "--allow-env", "--no-config"] : [];
  const publish = async (env: Record<string, string>) => {
    const args = [...run, main, "pub", "news", "hello", "--url", `rediss://localhost:${server.tlsPort}`];
    return await promisify(execFile)(process.execPath, args, { env: { ...process.env, ...env } });
  };
  const trusted = { DENO_CERT: fixture("ca.pem"), NODE_EXTRA_CA_CERTS: fixture("ca.pem") };
  await inTime(publish(trusted));
  await assertRejects(() => inTime(publish({})), Error, REASONS.untrusted);
});
