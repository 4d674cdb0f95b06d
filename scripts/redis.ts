/**
 * Sees to it that the live tests find a Redis, see `tests/support/redis_server.ts`.
 *
 * @module
 */

import { findServer, startServer } from "../tests/support/redis_server.ts";
import { has, run } from "./deno.ts";

/** A check's verdict, and what to tell about it. */
export interface Prepared {
  ok: boolean;
  output: string;
}

/** Finds a server that starts; as root on Debian, where there is none, installs one. */
export async function prepareRedis(): Promise<Prepared> {
  const source = await findServer();
  if (source.kind !== "none") {
    const found = await tryServer();
    if (found.ok || source.kind !== "container") return found;
  }
  if (Deno.build.os === "linux" && Deno.uid() === 0 && await has("apt-get")) {
    const installed = await install();
    if (!installed.ok) return installed;
  }
  return await tryServer();
}

async function tryServer(): Promise<Prepared> {
  try {
    await using server = await startServer();
    return { ok: true, output: server.version };
  } catch (error) {
    return { ok: false, output: `${error instanceof Error ? error.message : String(error)}\n` };
  }
}

async function install(): Promise<Prepared> {
  // A run level of 1 keeps the package from starting a server of its own.
  const env = { DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const updated = await run("apt-get", ["update", "-q"], { env });
  const installed = await run("apt-get", ["install", "-y", "-q", "--no-install-recommends", "redis-server"], { env });
  return installed.ok ? installed : { ok: false, output: updated.output + installed.output };
}
