import { assertEquals, assertRejects } from "@std/assert";
import { type Endpoint, endpointText } from "../../src/endpoint.ts";
import type { TellingTransport, Transport } from "../../src/transport/transport.ts";
import { test } from "../support/test.ts";
import { dialContract } from "./dial_contract.ts";
import { certified, pem, socketLeaf } from "./socket_leaf.ts";
import { type Leaf, transportContract } from "./transport_contract.ts";

if ("Deno" in globalThis) {
  const { dial } = await import("../../src/transport/deno.ts");

  /** The far side is Deno's own too, as its `node:tls` does not stop reading. */
  const tlsLeaf: Leaf = {
    name: "deno leaf over tls, both sides",
    async pair() {
      const server = Deno.listenTls({ port: 0, hostname: "127.0.0.1", ...certified("localhost") });
      const accepting = server.accept();
      const endpoint = { host: "localhost", port: server.addr.port, tls: { caCerts: [pem("ca.pem")] } };
      const dialling = dial(endpoint, { signal: new AbortController().signal });
      const conn = await accepting;
      // Accepting does no handshake: reading does.
      await conn.handshake();
      const near = await dialling;
      const far = transportOf(conn);
      return {
        near,
        far,
        [Symbol.asyncDispose]() {
          near.close();
          far.close();
          server.close();
          return Promise.resolve();
        },
      };
    },
  };

  transportContract(socketLeaf("deno leaf", { dial, form: "tcp" }));
  transportContract(socketLeaf("deno leaf", { dial, form: "unix" }));
  transportContract({ ...socketLeaf("deno leaf", { dial, form: "tls" }), neverStalls: ["far"] });
  transportContract(tlsLeaf);
  dialContract({
    name: "deno leaf",
    dial,
    forms: ["tcp", "tls", "unix"],
    // Deno 2.9 finishes a handshake in the background before it closes.
    stalled: "kept by the platform until the server moves",
  });

  test("deno leaf: what Deno's own API cannot do is misuse, told before anything is dialled", async () => {
    const signal = new AbortController().signal;
    const certificate = certified("client");
    for (
      const [endpoint, text] of [
        [{ host: "localhost", port: 1, path: "/run/a.sock", tls: {} }, "TLS over a unix socket: /run/a.sock"],
        [{ host: "localhost", port: 1, tls: { ...certificate, serverName: "other.test" } }, "not the host: other.test"],
      ] as const
    ) await assertRejects(() => dial(endpoint, { signal }), TypeError, text);
  });

  test("deno leaf: after a short read whoever waited for it runs before the next read begins", async () => {
    const happened: string[] = [];
    const read = () => {
      happened.push("a read");
      return Promise.resolve(happened.length > 3 ? null : 10);
    };
    const { connect } = Deno;
    // deno-lint-ignore no-explicit-any
    Deno.connect = () => Promise.resolve({ setNoDelay: () => {}, close: () => {}, read } as any);
    const near = await dial({ host: "localhost", port: 1 }, { signal: new AbortController().signal })
      .finally(() => Deno.connect = connect) as TellingTransport;
    const room = new Uint8Array(100);
    await new Promise<void>((resolve) => {
      const filled = (count: number) => {
        Promise.resolve().then(() => happened.push(`${count} bytes taken`));
        near.readFor(taker, room);
      };
      const taker = { filled, took: () => {}, ended: () => resolve() };
      near.readFor(taker, room);
    });
    assertEquals(happened, ["a read", "10 bytes taken", "a read", "10 bytes taken", "a read"]);
  });

  for (
    const [what, endpoint, flags] of [
      ["the network", { host: "localhost", port: 6379 }, "--allow-net=localhost:6379"],
      ["TLS", { host: "localhost", port: 6379, tls: {} }, "--allow-net=localhost:6379"],
      [
        "a unix socket",
        { host: "", port: 0, path: "/run/a.sock" },
        "--allow-net=unix:/run/a.sock --allow-read=/run/a.sock --allow-write=/run/a.sock",
      ],
    ] as const
  ) {
    test(`deno leaf: without permission for ${what} the error names the flags`, async () => {
      assertEquals(
        await dialWithoutPermission(endpoint),
        `ConnectionError: Cannot connect to ${endpointText(endpoint)}: Deno denies the permission, run with ${flags}`,
      );
    });
  }
}

/** Dials in a Deno of its own that may do nothing, and gives what the dial rejects with. */
async function dialWithoutPermission(endpoint: Endpoint): Promise<string> {
  const script = `
    import { dial } from ${JSON.stringify(import.meta.resolve("../../src/transport/deno.ts"))};
    const dialling = dial(${JSON.stringify(endpoint)}, { signal: new AbortController().signal });
    console.log(await dialling.catch((error) => error.name + ": " + error.message));
  `;
  const args = ["run", "--no-prompt", "--no-check", "--no-config", "--ext=ts", "-"];
  const child = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(script));
  await writer.close();
  const { stdout } = await child.output();
  return new TextDecoder().decode(stdout).trim();
}

/** As much of a transport as the far side needs: one write at a time, one close. */
function transportOf(conn: Deno.Conn): Transport {
  let state: "open" | "closed" = "open";
  return {
    async read() {
      const buffer = new Uint8Array(64 * 1024);
      const count = await conn.read(buffer);
      return count === null ? undefined : buffer.subarray(0, count);
    },
    async write(bytes) {
      for (let written = 0; written < bytes.byteLength;) written += await conn.write(bytes.subarray(written));
    },
    close() {
      if (state === "open") conn.close();
      state = "closed";
    },
  };
}
