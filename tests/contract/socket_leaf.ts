/** Pairs over real sockets: the near side is dialled, the far side is what `listen` accepts. */

import { mkdtemp, rm } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Endpoint } from "../../src/endpoint.ts";
import { listen, type ListenOptions } from "../../src/transport/listen.ts";
import type { Dial, Transport } from "../../src/transport/transport.ts";
import type { Leaf } from "./transport_contract.ts";

/** The certificates of `tests/fixtures/tls`, each signed by `ca.pem`. */
export function pem(name: string): string {
  return readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url), "utf8");
}

export function certified(name: "localhost" | "expired" | "other" | "client"): { cert: string; key: string } {
  return { cert: pem(`${name}.pem`), key: pem(`${name}.key`) };
}

/** A fresh directory for unix sockets. */
export async function temporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "earshot-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

export type Form = "tcp" | "tls" | "unix" | "tls over unix";

export interface SocketLeafOptions {
  readonly dial: Dial;
  readonly form: Form;
  readonly brings?: "chunks" | undefined;
  readonly lends?: boolean;
}

export function socketLeaf(name: string, { dial, form, brings, lends = false }: SocketLeafOptions): Leaf {
  const secure = form.startsWith("tls");
  return {
    name: `${name} over ${form}`,
    brings,
    lends,
    tells: true,
    // The `node:tls` of Deno 2.9 reads the raw socket on while its TLS socket is paused.
    neverStalls: secure && "Deno" in globalThis ? ["near", "far"] : [],
    async pair() {
      const directory = await temporaryDirectory();
      const where: ListenOptions = {};
      if (form.endsWith("unix")) where.path = join(directory.path, "socket");
      if (secure) where.tls = certified("localhost");
      let accept: (transport: Transport) => void = () => {};
      const accepted = new Promise<Transport>((resolve) => accept = resolve);
      const listener = await listen(where, accept);
      const endpoint: Endpoint = {
        host: "localhost",
        port: listener.port,
        path: listener.path,
        tls: secure ? { caCerts: [pem("ca.pem")] } : undefined,
      };
      const near = await dial(endpoint, { signal: new AbortController().signal });
      const far = await accepted;
      return {
        near,
        far,
        async [Symbol.asyncDispose]() {
          near.close();
          await listener.close();
          await directory[Symbol.asyncDispose]();
        },
      };
    },
  };
}
