/**
 * Which endpoint serves a subscription.
 *
 * @module
 */

import type { Endpoint } from "../endpoint.ts";

/** Answers where to go. Standalone is a topology with one answer. */
export interface Topology {
  /** The endpoint to dial now; asked anew for every connection. */
  locate(): Promise<Endpoint>;
}
