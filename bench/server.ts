/**
 * A Redis of the bench's own: it has its own port and folder, saves nothing, and ends with the process that started it.
 *
 * @module
 */

import { join } from "node:path";
import { canOwnServer, findServer, type RedisServer, startServer } from "../tests/support/redis_server.ts";
import type { Ground } from "./suite.ts";

/** A running server. */
export interface BenchServer extends AsyncDisposable {
  readonly port: number;
  /** Of its process. */
  readonly pid: number;
  /** How many clients it has cut off so far because they read too slowly. */
  dropped(): Promise<number>;
  /** Processor time that it has used so far, user and system, in seconds. */
  cpuSeconds(): Promise<number>;
}

/**
 * Starts one; undefined, and told as missing, when this machine has none.
 *
 * @param args more arguments of `redis-server`
 */
export async function startRedis(ground: Ground, args: readonly string[] = []): Promise<BenchServer | undefined> {
  if (!canOwnServer()) {
    ground.missing("a Redis to measure: REDIS_URL is set, and nobody knows what else that server does");
    return undefined;
  }
  const source = await findServer();
  if (source.kind !== "binary") {
    ground.missing("Redis: there is no `redis-server` or `valkey-server` on the PATH");
    return undefined;
  }
  const folder = await Deno.makeTempDir({ prefix: "earshot-bench-" });
  const log = join(folder, "log");
  try {
    const server = await startServer({ args: ["--logfile", log, ...args] });
    ground.version(source.version.split(" ")[0] ?? "redis-server", source.version.split(" ")[1] ?? "");
    return await PrivateServer.of(server, folder, log);
  } catch (error) {
    await Deno.remove(folder, { recursive: true });
    throw error;
  }
}

class PrivateServer implements BenchServer {
  pid = 0;
  readonly #server: RedisServer;
  readonly #folder: string;
  readonly #log: string;

  private constructor(server: RedisServer, folder: string, log: string) {
    this.#server = server;
    this.#folder = folder;
    this.#log = log;
  }

  static async of(server: RedisServer, folder: string, log: string): Promise<PrivateServer> {
    const one = new PrivateServer(server, folder, log);
    one.pid = Number(/^process_id:(\d+)/m.exec(await one.#ask("INFO SERVER"))?.[1]);
    return one;
  }

  get port(): number {
    return this.#server.port;
  }

  /** Redis 7.0 counts them nowhere but in its log. */
  async dropped(): Promise<number> {
    return (await Deno.readTextFile(this.#log)).match(/overcoming of output buffer limits/g)?.length ?? 0;
  }

  async cpuSeconds(): Promise<number> {
    const info = await this.#ask("INFO CPU");
    const seconds = (which: string) => Number(new RegExp(`^used_cpu_${which}:(\\S+)`, "m").exec(info)?.[1]);
    return seconds("user") + seconds("sys");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #ask(command: string): Promise<string> {
    using conn = await Deno.connect({ hostname: this.#server.host, port: this.port });
    await conn.write(new TextEncoder().encode(`${command}\r\nQUIT\r\n`));
    return await new Response(conn.readable).text();
  }
}
