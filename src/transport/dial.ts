/**
 * Opens a transport with the sockets of the runtime that this runs on. The only place that asks which runtime it is.
 *
 * @module
 */

import type { Endpoint } from "../endpoint.ts";
import type { Dial } from "./transport.ts";

/**
 * Dials with Deno's own sockets on Deno and with `node:net` and `node:tls` everywhere else. The leaf that is not needed is
 * never loaded.
 *
 * @throws {ConnectionError} when the endpoint cannot be reached; its text says why, its `cause` is the platform's error
 */
export const dial: Dial = async (endpoint, options) => {
  const leaf = "Deno" in globalThis && !isBeyondDeno(endpoint) ? await import("./deno.ts") : await import("./node.ts");
  return await leaf.dial(endpoint, options);
};

/**
 * Deno's own API has no TLS over a unix socket, and checks the server's certificate against the dialled host when it
 * presents one of ours; its `node:tls` can do both, at a price: it reads the raw socket on while nobody reads the
 * transport, so the peer feels no backpressure.
 */
function isBeyondDeno({ host, path, tls }: Endpoint): boolean {
  if (tls === undefined) return false;
  return path !== undefined || (tls.cert !== undefined && tls.serverName !== undefined && tls.serverName !== host);
}
