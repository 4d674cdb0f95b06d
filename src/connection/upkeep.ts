/**
 * What a connection needs while it lives: new credentials before the old ones expire, and another connection in its place
 * when the server says that it moves.
 *
 * @module
 */

import type { Endpoint } from "../endpoint.ts";
import { ConnectionError, RedisError } from "../errors.ts";
import type { Moving } from "../protocol/push.ts";
import type { Clock } from "./clock.ts";
import type { Connection } from "./connection.ts";
import { authenticate, identify, type Identity, type LinkOptions } from "./link.ts";
import { sleep, within } from "./wait.ts";

/** The share of the remaining time after which credentials are renewed. */
const SHARE = 0.8;
/** The shortest time until they are, in milliseconds: also where they live for less, or a provider gives the same ones again. */
const LEAST_MS = 1_000;
/** The longest wait after an attempt that failed, in milliseconds; the first is {@linkcode LEAST_MS}. */
const MOST_MS = 30_000;

/** Where a planned move goes; what is not given stays as it is. */
export interface MoveTarget {
  readonly endpoint?: Endpoint | undefined;
  readonly credentials?: Identity;
}

/** How to keep a connection up. */
export interface UpkeepOptions {
  readonly link: LinkOptions;
  readonly protocol: 2 | 3;
  /** Does it subscribe? In RESP2 it may then not say AUTH. */
  readonly role: "subscriber" | "commands";
  /** Where it goes. */
  readonly endpoint: Endpoint;
  /** Makes another connection in its place; gives what went wrong. */
  readonly move: (to: MoveTarget) => Promise<RedisError | undefined>;
  /** Hears why something failed; it is tried again. */
  readonly failed: (error: RedisError) => void;
}

/** The upkeep of one connection. */
export class Upkeep {
  #connection: Connection;
  #options: UpkeepOptions;
  #state: "kept up" | "stopped" = "kept up";
  /** Calls off what waits. Made when something does: to abort nothing takes a third of a millisecond after each cut. */
  #waits: AbortController | undefined;
  /** The number of the last move that the server announced. */
  #sequence = -1;

  /** Begins when the connection is through its handshake. */
  constructor(connection: Connection, options: UpkeepOptions) {
    this.#connection = connection;
    this.#options = options;
    const { link: { maintenance }, protocol, endpoint } = options;
    // Who does not know it refuses it, which is as good.
    if (maintenance && protocol === 3) connection.ask(maintenanceOf(endpoint), () => {});
    void this.#renew(connection.expiresAt);
  }

  /** The server says that it moves. */
  moving({ sequence, seconds, host, port }: Moving): void {
    // Each node of a server may tell it.
    if (sequence <= this.#sequence) return;
    this.#sequence = sequence;
    const { endpoint, move } = this.#options;
    const { tls } = endpoint;
    // A certificate is for the name that we went by, seldom for an address.
    const serverName = host !== undefined && isAddress(host) && !isAddress(endpoint.host) ? endpoint.host : undefined;
    const named = tls === undefined || serverName === undefined ? tls : { serverName, ...tls };
    const elsewhere = host === undefined ? undefined : { ...endpoint, path: undefined, host, port, tls: named };
    // Without an endpoint it is the same one: by then its name leads to another place.
    void this.#insist(host === undefined ? seconds * 500 : 0, async () => {
      const cause = await move({ endpoint: elsewhere });
      if (cause !== undefined) throw cause;
    });
  }

  /** Does nothing more. */
  stop(): void {
    this.#state = "stopped";
    this.#waits?.abort();
  }

  async #renew(expiresAt: number | undefined): Promise<void> {
    const { link, protocol, role, move } = this.#options;
    if (expiresAt === undefined) return;
    const signal = this.#waiting();
    while (expiresAt !== undefined && !signal.aborted) {
      const left = expiresAt - link.clock.date();
      await this.#insist(Math.max(LEAST_MS, left * SHARE), async () => {
        const limits = { signal, timeoutMs: link.connectTimeoutMs };
        const credentials = await within(identify(link), "credentials", limits, link.clock);
        ({ expiresAt } = credentials);
        const inPlace = protocol === 3 || role === "commands";
        if (inPlace && await authenticate(this.#connection, credentials, protocol).then(() => true, () => false)) {
          return;
        }
        const cause = await move({ credentials });
        if (cause !== undefined) throw cause;
      });
    }
  }

  /** For something that waits: aborted once all is stopped. */
  #waiting(): AbortSignal {
    this.#waits ??= new AbortController();
    if (this.#state === "stopped") this.#waits.abort();
    return this.#waits.signal;
  }

  /** Runs something after a wait, and again until it succeeds. */
  async #insist(waitMs: number, run: () => Promise<void>): Promise<void> {
    const { link: { clock }, failed } = this.#options;
    const signal = this.#waiting();
    for (let nextMs = LEAST_MS;; nextMs = Math.min(2 * nextMs, MOST_MS)) {
      await sleepUntil(clock.date() + waitMs, signal, clock);
      if (signal.aborted) return;
      try {
        return await run();
      } catch (error) {
        if (signal.aborted) return;
        const why = "Cannot renew the credentials: asking for them failed";
        failed(error instanceof RedisError ? error : new ConnectionError(why, { cause: error }));
      }
      waitMs = nextMs;
    }
  }
}

/** Looks at the date once a minute: while the machine sleeps, timers may stand still. */
async function sleepUntil(date: number, signal: AbortSignal, clock: Clock): Promise<void> {
  for (let left; !signal.aborted && (left = date - clock.date()) > 0;) {
    await sleep(Math.min(left, 60_000), signal, clock);
  }
}

/** Is this host an address, and no name? */
function isAddress(host: string): boolean {
  return /^[\d.]+$|:/.test(host);
}

/**
 * Asks to be told of maintenance. Where we go by a name, that name is what leads on, so that certificates stay valid; an
 * address has to be replaced by another one, from within or from outside.
 */
function maintenanceOf({ host }: Endpoint): readonly ["CLIENT", ...string[]] {
  const type = !isAddress(host)
    ? "none"
    : /^(10|127|192\.168|172\.(1[6-9]|2\d|3[01]))\.|^(f[cd]|::1$)/i.test(host)
    ? "internal-ip"
    : "external-ip";
  return ["CLIENT", "MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", type];
}
