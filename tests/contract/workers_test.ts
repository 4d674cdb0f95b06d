/** The leaf over `cloudflare:sockets`, inside `workerd`: see `scripts/test_workers.ts`. */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import { deadline } from "@std/async";
import { type Endpoint, endpointText } from "../../src/endpoint.ts";
import { ConnectionError } from "../../src/errors.ts";
import { dial } from "../../src/transport/dial.ts";
import { REASONS } from "../../src/transport/transport.ts";
import { test } from "../support/test.ts";
import { FarSide } from "../support/workerd/far_side.ts";
import { transportContract } from "./transport_contract.ts";

/** No refusal may take longer. */
const LIMIT_MS = 5_000;
const never = () => new AbortController().signal;
/** A port where nobody listens. */
const NOBODY = 1;

if (globalThis.navigator?.userAgent === "Cloudflare-Workers") {
  for (const form of ["tcp", "tls"] as const) {
    const secure = form === "tls" ? { certificate: "localhost", tls: {} } as const : {};

    transportContract({
      name: `workers leaf over ${form}`,
      // The far side listens with the `node:tls` of Deno, see `socketLeaf`.
      neverStalls: form === "tls" ? ["far"] : [],
      async pair() {
        const server = await FarSide.listen(secure);
        const accepting = server.accept();
        const near = await dial({ host: "127.0.0.1", port: server.port, tls: secure.tls }, { signal: never() });
        return {
          near,
          far: await accepting,
          async [Symbol.asyncDispose]() {
            near.close();
            await server[Symbol.asyncDispose]();
          },
        };
      },
    });

    test(`workers leaf over ${form}: an abort while dialling rejects with its reason, leaves no connection`, async () => {
      await using server = await FarSide.listen(secure);
      const endpoint = { host: "127.0.0.1", port: server.port, tls: secure.tls };
      for (const turns of [0, 1, 2, 3, 5, 8]) {
        const controller = new AbortController();
        const reason = new Error(`after ${turns} turns`);
        const dialling = dial(endpoint, { signal: controller.signal }).then((it) => it.close(), (it) => it);
        for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setTimeout(resolve));
        controller.abort(reason);
        const outcome = await deadline(dialling, LIMIT_MS);
        if (turns === 0 || outcome !== undefined) assertStrictEquals(outcome, reason);
      }
      const last = await dial(endpoint, { signal: never() });
      await last.write(new Uint8Array([7]));
      for (let bytes; (bytes = await (await deadline(server.accept(), LIMIT_MS)).read())?.[0] !== 7;) {
        assertEquals(bytes, undefined);
      }
      last.close();
    });
  }

  const refused = async (endpoint: Endpoint, reason: string) => {
    const dialling = dial(endpoint, { signal: never() });
    const error = await assertRejects(() => deadline(dialling, LIMIT_MS), ConnectionError);
    assertEquals(error.message, `Cannot connect to ${endpointText(endpoint)}: ${reason}`);
    assertEquals(error.endpoint, endpointText(endpoint));
    assert(error.cause instanceof Error, "the platform's error is the cause");
  };

  test("workers leaf: where nobody listens, and a host that does not exist", async () => {
    await refused({ host: "localhost", port: NOBODY }, REASONS.unexplained);
    await refused({ host: "localhost", port: NOBODY, tls: {} }, REASONS.unexplained);
    await refused({ host: "::1", port: NOBODY }, REASONS.unexplained);
    await refused({ host: "no-such-host.invalid", port: 6379 }, REASONS.unexplained);
  });

  // By another host than above, whose TLS session is taken up again without a look at the certificate.
  for (
    const [what, certificate] of [
      ["an unknown authority", "stranger"],
      ["an expired certificate", "expired"],
      ["another host's certificate", "other"],
    ] as const
  ) {
    test(`workers leaf over tls: ${what} is refused`, async () => {
      await using server = await FarSide.listen({ certificate });
      await refused({ host: "localhost", port: server.port, tls: {} }, REASONS.handshake);
    });
  }

  test("workers leaf over tls: so is a server without TLS, and one that hangs up", async () => {
    await using server = await FarSide.listen();
    for (const answer of [new TextEncoder().encode("What is this?\r\n"), undefined]) {
      const refusal = refused({ host: "localhost", port: server.port, tls: {} }, REASONS.handshake);
      const far = await server.accept();
      await far.read();
      if (answer !== undefined) await far.write(answer);
      far.close();
      await refusal;
    }
  });

  test("workers leaf over tls: an abort while the handshake stalls rejects at once", async () => {
    await using server = await FarSide.listen();
    const controller = new AbortController();
    const reason = new Error("enough");
    const endpoint = { host: "localhost", port: server.port, tls: {} };
    const refusal = assertRejects(() => dial(endpoint, { signal: controller.signal }), Error);
    const far = await server.accept();
    assert((await far.read() ?? []).length > 0, "the handshake begins");
    controller.abort(reason);
    assertStrictEquals(await deadline(refusal, LIMIT_MS), reason);
  });

  test("workers leaf over tls: the host's own name may be given", async () => {
    await using server = await FarSide.listen({ certificate: "localhost" });
    const endpoint = { host: "localhost", port: server.port, tls: { serverName: "localhost" } };
    (await deadline(dial(endpoint, { signal: never() }), LIMIT_MS)).close();
  });

  const impossible: Record<string, Partial<Endpoint>> = {
    "path": { path: "/run/redis.sock" },
    "tls.caCerts": { tls: { caCerts: ["PEM"] } },
    "tls.cert": { tls: { cert: "PEM", key: "secret" } },
    "tls.serverName": { tls: { serverName: "other.test" } },
  };
  for (const [option, part] of Object.entries(impossible)) {
    test(`workers leaf: ${option} is misuse, told before anything is dialled`, async () => {
      const endpoint = { host: "localhost", port: NOBODY, ...part };
      const error = await assertRejects(() => dial(endpoint, { signal: never() }), ConnectionError);
      const text = `Workers cannot do what this option asks for: ${option}`;
      assertEquals(error.message, `Cannot connect to ${endpointText(endpoint)}: ${text}`);
      assertInstanceOf(error.cause, TypeError);
    });
  }
}
