/** Where live tests stand: real servers that speak both protocols, and everything that one test opens there. */

import { Client, type ClientEvent, type ClientOptions } from "@earshot/redis";
import process from "node:process";
import { deadline } from "@std/async";
import { afterAll } from "./after_all.ts";
import { RawConnection } from "./raw_connection.ts";
import { canOwnServer, type RedisServer, startServer } from "./redis_server.ts";
import { testUnless } from "./skip.ts";

/** A way to come to a protocol, for real. */
export interface Dialect {
  readonly name: string;
  /** Arguments of the server that brings it about. */
  readonly args: readonly string[];
  /** What a client needs besides the address. */
  readonly options: ClientOptions;
  /** What a client must come to speak; undefined: what the server itself says to HELLO. */
  readonly protocol: 2 | 3 | undefined;
}

export const RESP3: Dialect = { name: "RESP3", args: [], options: {}, protocol: 3 };
export const RESP2: Dialect = { name: "RESP2 by option", args: [], options: { protocol: 2 }, protocol: 2 };
export const NO_HELLO: Dialect = {
  name: "RESP2 by a renamed HELLO",
  args: ["--rename-command", "HELLO", ""],
  options: {},
  protocol: 2,
};

const ALL = "~* &* +@all -hello".split(" ");
/** From Redis 7.0 on no ACL can refuse HELLO, so there this is an ACL user with RESP3. */
const REFUSED_HELLO: Dialect = {
  name: "an ACL user without HELLO",
  args: ["--user", "default", "on", "nopass", ...ALL, "--user", "limited", "on", ">correct-horse", ...ALL],
  options: { username: "limited", password: "correct-horse" },
  protocol: undefined,
};

export const DIALECTS: readonly Dialect[] = [RESP3, RESP2, REFUSED_HELLO, NO_HELLO];

/** Why live tests that need servers of their own cannot run here, if so. */
export const NOT_OURS: string | undefined = canOwnServer() ? undefined : "REDIS_URL names a server that is not ours";

/** What one test opens: a server, a raw connection to it, clients. All that it makes ends with the test. */
export class Ground implements AsyncDisposable {
  readonly server: RedisServer;
  readonly raw: RawConnection;
  readonly dialect: Dialect;
  /** What the clients of this test are called in CLIENT LIST. */
  readonly clientName: string;
  /** Every event of every client, in order. */
  readonly events: ClientEvent[] = [];
  /** Promises that were rejected and that nobody caught. */
  readonly unhandled: unknown[] = [];
  #clients: Client[] = [];
  #hear = (reason: unknown) => void this.unhandled.push(reason);

  constructor(server: RedisServer, raw: RawConnection, dialect: Dialect) {
    this.server = server;
    this.raw = raw;
    this.dialect = dialect;
    this.clientName = fresh("client");
    process.on("unhandledRejection", this.#hear);
  }

  /** Comes to a server that runs. `login` is that of the raw connection. */
  static async at(server: RedisServer, dialect: Dialect, login: readonly string[] = []): Promise<Ground> {
    return new Ground(server, await RawConnection.open(server.port, login), dialect);
  }

  /** A client that speaks the dialect. */
  readonly client = (options: ClientOptions = {}): Client => {
    const { host, port } = this.server;
    const client = new Client({
      host,
      port,
      clientName: this.clientName,
      ...this.dialect.options,
      ...options,
      onEvent: (event) => {
        this.events.push(event);
        options.onEvent?.(event);
      },
    });
    this.#clients.push(client);
    return client;
  };

  /** How many events of this type there were. */
  count(type: ClientEvent["type"]): number {
    return this.events.filter((event) => event.type === type).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
    await this.raw[Symbol.asyncDispose]();
    process.off("unhandledRejection", this.#hear);
  }
}

/** Registers tests that share the servers of one file, one for each dialect; the servers end with the file. */
export async function commonGround(): Promise<
  (name: string, body: (ground: Ground) => Promise<void>, dialects?: readonly Dialect[]) => void
> {
  const servers = new Map<string, RedisServer>();
  if (NOT_OURS === undefined) {
    const kinds = new Map(DIALECTS.map(({ args }) => [args.join(" "), args]));
    await Promise.all([...kinds].map(async ([key, args]) => servers.set(key, await startServer({ args }))));
    afterAll(async () => {
      await Promise.all([...servers.values()].map((server) => server[Symbol.asyncDispose]()));
    });
  }
  return (name, body, dialects = DIALECTS) => {
    for (const dialect of dialects) {
      testUnless(NOT_OURS, `${name}: ${dialect.name}`, async () => {
        await using ground = await Ground.at(servers.get(dialect.args.join(" "))!, dialect);
        await inTime(body(ground));
      });
    }
  };
}

/** Registers a test with a server of its own, one for each dialect. */
export function ownGround(
  name: string,
  body: (ground: Ground) => Promise<void>,
  dialects: readonly Dialect[] = DIALECTS,
): void {
  for (const dialect of dialects) {
    testUnless(NOT_OURS, `${name}: ${dialect.name}`, async () => {
      await using server = await startServer({ args: dialect.args });
      await using ground = await Ground.at(server, dialect);
      await inTime(body(ground));
    });
  }
}

/** How long one test may take, in milliseconds. */
const MOST_MS = 30_000;

/** A test that waits for what never comes fails, instead of keeping all others waiting. */
export async function inTime<T>(body: Promise<T>): Promise<T> {
  return await deadline(body, MOST_MS);
}

let names = 0;

/** A name that no other test uses. */
export function fresh(stem: string): string {
  return `${stem}-${process.pid}-${++names}`;
}
