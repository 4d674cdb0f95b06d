/**
 * One server, always the same.
 *
 * @module
 */

import type { Endpoint } from "../endpoint.ts";
import type { Topology } from "./topology.ts";

/** A topology with one answer. */
export function standalone(endpoint: Endpoint): Topology {
  return { locate: () => Promise.resolve(endpoint) };
}
