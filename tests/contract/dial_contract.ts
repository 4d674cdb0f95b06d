/** What every dial must do before there is a transport: refuse in words, obey its signal, leave nothing behind. */

import { join } from "node:path";
import net from "node:net";
import tls from "node:tls";
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { deadline } from "@std/async";
import { type Endpoint, endpointText, type TlsOptions } from "../../src/endpoint.ts";
import { ConnectionError } from "../../src/errors.ts";
import { listen } from "../../src/transport/listen.ts";
import { type Dial, REASONS, type Transport } from "../../src/transport/transport.ts";
import { test } from "../support/test.ts";
import { certified, type Form, pem, temporaryDirectory } from "./socket_leaf.ts";

export interface DialLeaf {
  readonly name: string;
  readonly dial: Dial;
  readonly forms: readonly Form[];
  /** What an expired certificate is called. @default {REASONS.expired} */
  readonly expired?: string;
  /** What becomes of the socket when an abort finds the TLS handshake stalled. @default {"closed"} */
  readonly stalled?: "closed" | "kept by the platform until the server moves";
}

/** No refusal may take longer. */
const LIMIT_MS = 5_000;

export function dialContract(leaf: DialLeaf): void {
  const { name, dial, forms, expired = REASONS.expired, stalled = "closed" } = leaf;
  const never = () => new AbortController().signal;

  async function assertRefused(endpoint: Endpoint, reason: string): Promise<void> {
    const dialling = dial(endpoint, { signal: never() });
    const error = await assertRejects(() => deadline(dialling, LIMIT_MS), ConnectionError);
    assertEquals(error.message, `Cannot connect to ${endpointText(endpoint)}: ${reason}`);
    assertEquals(error.endpoint, endpointText(endpoint));
    assert(error.cause instanceof Error, "the platform's error is the cause");
  }

  test(`${name}: a port where nobody listens`, async () => {
    const port = await closedPort();
    await assertRefused({ host: "localhost", port }, REASONS.refused);
    await assertRefused({ host: "127.0.0.1", port, tls: {} }, REASONS.refused);
  });

  test(`${name}: an address of version 6 is told in brackets`, async () => {
    const dialling = dial({ host: "::1", port: await closedPort() }, { signal: never() });
    await assertRejects(() => deadline(dialling, LIMIT_MS), ConnectionError, "Cannot connect to [::1]:");
  });

  test(`${name}: a host that does not exist`, async () => {
    await assertRefused({ host: "no-such-host.invalid", port: 6379 }, REASONS.unknownHost);
  });

  test(`${name}: a unix path where nothing is`, async () => {
    await using directory = await temporaryDirectory();
    await assertRefused({ host: "", port: 0, path: join(directory.path, "missing") }, REASONS.noSocket);
  });

  for (const form of forms) {
    test(`${name} over ${form}: an aborted signal rejects with its reason and dials nothing`, async () => {
      await using server = await serve(form);
      const reason = new Error("changed my mind");
      const error = await assertRejects(() => dial(server.endpoint, { signal: AbortSignal.abort(reason) }), Error);
      assertStrictEquals(error, reason);
      await dialOnce(server.endpoint);
      // Had the aborted dial reached the server, its connection would be the first, and would hold no byte.
      assertEquals((await (await deadline(server.first, LIMIT_MS)).read())?.byteLength, 1);
    });

    test(`${name} over ${form}: an abort while dialling rejects with its reason and leaves no connection`, async () => {
      await using server = await serve(form);
      for (const turns of [0, 1, 2, 3, 5, 8, 13, 21]) {
        const controller = new AbortController();
        const reason = new Error(`after ${turns} turns`);
        const dialling = dial(server.endpoint, { signal: controller.signal }).then((it) => it.close(), (it) => it);
        for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setTimeout(resolve));
        controller.abort(reason);
        const outcome = await deadline(dialling, LIMIT_MS);
        if (turns === 0 || outcome !== undefined) assertStrictEquals(outcome, reason);
      }
      await dialOnce(server.endpoint);
      await deadline(server.first, LIMIT_MS);
      for (const far of server.accepted) {
        await deadline(far.read().catch((error) => assert(error instanceof ConnectionError)), LIMIT_MS);
      }
    });
  }

  test(`${name}: an abort while the TLS handshake stalls rejects at once, and the socket is ${stalled}`, async () => {
    await using server = await serve("tcp");
    const controller = new AbortController();
    const reason = new Error("enough");
    const dialling = dial({ ...server.endpoint, tls: {} }, { signal: controller.signal });
    const refused = assertRejects(() => dialling, Error);
    const far = await deadline(server.first, LIMIT_MS);
    assert((await far.read() ?? []).length > 0, "the handshake begins");
    controller.abort(reason);
    assertStrictEquals(await deadline(refused, LIMIT_MS), reason);
    if (stalled !== "closed") return;
    await deadline(far.read().catch((error) => assert(error instanceof ConnectionError)), LIMIT_MS);
  });

  const caCerts = [pem("ca.pem")];
  const certificates: [string, "localhost" | "expired" | "other", string, TlsOptions, string | undefined][] = [
    ["a good certificate", "localhost", "localhost", { caCerts }, undefined],
    ["a good certificate, by address", "localhost", "127.0.0.1", { caCerts }, undefined],
    ["an unknown authority", "localhost", "localhost", {}, REASONS.untrusted],
    ["an expired certificate", "expired", "localhost", { caCerts }, expired],
    ["another host's certificate", "other", "localhost", { caCerts }, REASONS.wrongName],
    ["another host's certificate, by address", "other", "127.0.0.1", { caCerts }, REASONS.wrongName],
    ["another host's name on purpose", "other", "localhost", { caCerts, serverName: "other.test" }, undefined],
    ["a wrong name on purpose", "localhost", "localhost", { caCerts, serverName: "other.test" }, REASONS.wrongName],
    ["a wrong address on purpose", "localhost", "localhost", { caCerts, serverName: "192.0.2.1" }, REASONS.wrongName],
    ["an address on purpose", "localhost", "localhost", { caCerts, serverName: "127.0.0.1" }, undefined],
  ];
  for (const [what, certificate, host, options, refusal] of certificates) {
    test(`${name} over tls: ${what} is ${refusal === undefined ? "accepted" : "refused"}`, async () => {
      await using server = await listen({ tls: certified(certificate) }, () => {});
      const endpoint = { host, port: server.port, tls: options };
      if (refusal !== undefined) return await assertRefused(endpoint, refusal);
      (await deadline(dial(endpoint, { signal: never() }), LIMIT_MS)).close();
    });
  }

  test(`${name} over tls: a server without TLS is named as such`, async () => {
    await using server = await listen({}, async (far) => {
      await far.read();
      await far.write(new TextEncoder().encode("What is this?\r\n"));
    });
    await assertRefused({ host: "localhost", port: server.port, tls: { caCerts } }, REASONS.notTls);
  });

  test(`${name} over tls: a server that hangs up on the handshake is named as such`, async () => {
    await using server = await listen({}, async (far) => {
      await far.read();
      far.close();
    });
    await assertRefused({ host: "localhost", port: server.port, tls: { caCerts } }, REASONS.endedInHandshake);
  });

  test(`${name} over tls: a client certificate is presented`, async () => {
    await using server = await serveToCertified();
    const endpoint = { host: "localhost", port: server.port, tls: { caCerts, ...certified("client") } };
    const near = await deadline(dial(endpoint, { signal: never() }), LIMIT_MS);
    assertEquals(new TextDecoder().decode(await deadline(near.read(), LIMIT_MS)), "client");
    near.close();
    // TLS 1.3 tells a refused client after its own side of the handshake is done.
    const stranger = { ...endpoint, tls: { caCerts } };
    await assertRejects(async () => {
      const transport = await dial(stranger, { signal: never() });
      await deadline(transport.read(), LIMIT_MS).finally(() => transport.close());
    }, ConnectionError);
  });

  test(`${name} over tls: a client certificate that cannot be read`, async () => {
    const endpoint = { host: "localhost", port: await closedPort(), tls: { cert: "no PEM", key: "secret-key" } };
    const error = await assertRejects(() => dial(endpoint, { signal: never() }), ConnectionError, "Cannot connect to");
    assert(!error.message.includes("secret-key"));
  });

  async function dialOnce(endpoint: Endpoint): Promise<void> {
    const near = await dial(endpoint, { signal: never() });
    await near.write(new Uint8Array(1));
    near.close();
  }
}

interface Server extends AsyncDisposable {
  readonly endpoint: Endpoint;
  readonly accepted: readonly Transport[];
  readonly first: Promise<Transport>;
}

async function serve(form: Form): Promise<Server> {
  const directory = await temporaryDirectory();
  const accepted: Transport[] = [];
  let arrive: (transport: Transport) => void = () => {};
  const first = new Promise<Transport>((resolve) => arrive = resolve);
  const secure = form.startsWith("tls");
  const server = await listen({
    ...(form.endsWith("unix") ? { path: join(directory.path, "socket") } : {}),
    ...(secure ? { tls: certified("localhost") } : {}),
  }, (transport) => {
    accepted.push(transport);
    arrive(transport);
  });
  const tls = secure ? { caCerts: [pem("ca.pem")] } : undefined;
  return {
    endpoint: { host: "localhost", port: server.port, path: server.path, tls },
    accepted,
    first,
    async [Symbol.asyncDispose]() {
      await server.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** A server that takes only clients whose certificate the CA has signed, and answers with the name on it. */
export function serveToCertified(): Promise<AsyncDisposable & { readonly port: number }> {
  const options = { ...certified("localhost"), ca: pem("ca.pem"), requestCert: true, rejectUnauthorized: true };
  const server = tls.createServer(options, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.end(String(socket.getPeerCertificate().subject.CN));
  });
  server.on("tlsClientError", (_, socket) => socket.destroy());
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () =>
      resolve({
        port: portOf(server),
        [Symbol.asyncDispose]: () => new Promise<void>((closed) => server.close(() => closed())),
      }))
  );
}

/** A port that was free a moment ago. */
function closedPort(): Promise<number> {
  const server = net.createServer();
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => {
      const port = portOf(server);
      server.close(() => resolve(port));
    })
  );
}

function portOf(server: net.Server): number {
  const address = server.address();
  assert(address !== null && typeof address !== "string");
  return address.port;
}
