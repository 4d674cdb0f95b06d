/** A real Redis that speaks TLS, beside the plain port that it has for raw connections. */

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { NOT_OURS } from "./ground.ts";
import { findServer, startServer } from "./redis_server.ts";

/** Why such a server cannot be had here, if so. */
export const NO_FILES: string | undefined = NOT_OURS ??
  ((await findServer()).kind === "container" ? "a container shares no files" : undefined);

/** Those of `tests/fixtures/tls`. */
export type Certificate = "localhost" | "expired" | "other" | "stranger";

export interface TlsServer extends AsyncDisposable {
  readonly port: number;
  readonly tlsPort: number;
}

/** Starts it with a certificate, and with more arguments of `redis-server`. */
export async function startTls(
  certificate: Certificate = "localhost",
  args: readonly string[] = ["--tls-auth-clients", "no"],
): Promise<TlsServer> {
  const tlsPort = await freePort();
  const server = await startServer({
    args: [
      ...["--tls-port", String(tlsPort), "--tls-ca-cert-file", fixture("ca.pem")],
      ...["--tls-cert-file", fixture(`${certificate}.pem`), "--tls-key-file", fixture(`${certificate}.key`)],
      ...args,
    ],
  });
  return { port: server.port, tlsPort, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** A file of `tests/fixtures/tls`, by its name. */
export function pem(name: string): string {
  return readFileSync(fixture(name), "utf8");
}

/** Where it is. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return typeof address === "object" && address !== null ? address.port : 0;
}
