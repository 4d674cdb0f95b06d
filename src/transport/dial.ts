/**
 * Opens a transport with the sockets of the runtime that this runs on. The only place that chooses by the runtime.
 *
 * @module
 */

import type { Endpoint } from "../endpoint.ts";
import type { Dial } from "./transport.ts";

/**
 * Dials with Deno's own sockets on Deno, with `cloudflare:sockets` on Workers, and with `node:net` and `node:tls` everywhere
 * else. The leaf that is not needed is never loaded.
 *
 * @throws {ConnectionError} when the endpoint cannot be reached; its text says why, its `cause` is the platform's error
 */
export const dial: Dial = async (endpoint, options) => {
  if ("Deno" in globalThis && !isBeyondDeno(endpoint)) return await (await import("./deno.ts")).dial(endpoint, options);
  if (globalThis.navigator?.userAgent === "Cloudflare-Workers") {
    return await (await import("./workers.ts")).dial(endpoint, options);
  }
  // `Bun.connect` is no faster than `dialOnBun`, and its dial cannot be given up: while the peer does not answer, the socket
  // stays, and with it the process. Bun 1.4.5, processor time into rooms of 256 KiB, medians of interleaved slices:
  //
  //                         TCP, s/GB   unix, s/GB   TLS, s/GB   one short message, µs
  //   `dialOnBun`           0.33        0.113        0.446       11.6
  //   `Bun.connect`         0.33        0.113        0.445       11.6
  //   `'data'` events       0.34        0.119        0.456       13.2
  //   `onread`, as `dial`   0.41        0.139        0.530       13.0
  const { dial, dialOnBun } = await import("./node.ts");
  return await ("Bun" in globalThis ? dialOnBun : dial)(endpoint, options);
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
