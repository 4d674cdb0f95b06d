/**
 * A network of its own for one server, joined to ours by a pair of virtual interfaces, whose routes can be taken away: the
 * kernel drops what is sent, and nobody is told. Linux, root and `ip` of iproute2 are needed.
 *
 * @module
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { RawConnection } from "./raw_connection.ts";
import { findServer } from "./redis_server.ts";
import { until } from "./until.ts";

/** Whose route is taken away: ours to the server, or the server's to us. */
export type Route = "there" | "back";

const PORT = 6379;
let count = 0;

/** Why there can be no such network here, if so. */
export function noNamespaces(): string | undefined {
  if (process.platform !== "linux") return "network namespaces are Linux's";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  const name = `earshot-probe-${process.pid}`;
  try {
    ip("netns", "add", name);
    ip("netns", "del", name);
    return undefined;
  } catch (error) {
    return `no network namespaces: ${String(error instanceof Error ? error.message : error).split("\n")[0]}`;
  }
}

/** A server in a network of its own. */
export class FarServer implements AsyncDisposable {
  readonly host: string;
  readonly port: number = PORT;
  #name: string;
  #near: string;
  #socket: string;
  #folder: string;
  #child: ChildProcess;
  #watchdog: ChildProcess;

  private constructor(name: string, subnet: string, near: string, folder: string, program: string) {
    this.#name = name;
    this.#near = `${subnet}.1`;
    this.host = `${subnet}.2`;
    this.#folder = folder;
    this.#socket = join(folder, "redis.sock");
    const far = `${near}f`;
    ip("netns", "add", name);
    try {
      ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name);
      ip("address", "add", `${this.#near}/30`, "dev", near);
      ip("link", "set", near, "up");
      ip("-n", name, "address", "add", `${this.host}/30`, "dev", far);
      ip("-n", name, "link", "set", far, "up");
      const options = [
        "--port",
        PORT,
        "--bind",
        this.host,
        "--unixsocket",
        this.#socket,
        "--dir",
        folder,
        "--save",
        "",
      ];
      const args = ["netns", "exec", name, program, ...options.map(String), "--protected-mode", "no"];
      this.#child = spawn("ip", args, { stdio: "ignore" });
    } catch (error) {
      ip("netns", "del", name);
      throw error;
    }
    // Should this process be killed, its standard input ends, and nothing is left.
    const script = 'read -r _; kill -9 "$1"; ip netns del "$2"; rm -rf "$3"';
    const stdio = ["pipe", "ignore", "ignore"] as const;
    const left = [String(this.#child.pid), name, folder];
    this.#watchdog = spawn("sh", ["-c", script, "sh", ...left], { stdio: [...stdio], detached: true });
  }

  /** Starts a server far away; resolves when it answers. */
  static async start(): Promise<FarServer> {
    const source = await findServer();
    if (source.kind !== "binary") throw new Error("There is no redis-server or valkey-server on the PATH");
    const id = `${process.pid}-${++count}`;
    const subnet = `10.213.${(process.pid + count) % 256}`;
    const folder = mkdtempSync(join(tmpdir(), "earshot-far-"));
    const server = new FarServer(`earshot-${id}`, subnet, `es${id}`.slice(0, 14), folder, source.path);
    try {
      await until(
        "the server far away answers",
        10_000,
        () => server.raw().then((raw) => raw[Symbol.asyncDispose]()).then(() => true, () => false),
      );
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  /** A connection through the file system, which no route can part. */
  async raw(): Promise<RawConnection> {
    const raw = new RawConnection(connect(this.#socket));
    try {
      await raw.ask("PING");
    } catch (error) {
      await raw[Symbol.asyncDispose]();
      throw error;
    }
    return raw;
  }

  /** Drops from now on whatever is sent there, or back. */
  part(route: Route): void {
    if (route === "there") ip("route", "add", "blackhole", `${this.host}/32`);
    else ip("-n", this.#name, "route", "add", "blackhole", `${this.#near}/32`);
  }

  /** The route is there again. */
  join(route: Route): void {
    if (route === "there") ip("route", "del", "blackhole", `${this.host}/32`);
    else ip("-n", this.#name, "route", "del", "blackhole", `${this.#near}/32`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of [this.#child, this.#watchdog]) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      if (child.pid !== undefined) process.kill(child.pid, "SIGKILL");
      await ended;
    }
    try {
      ip("route", "del", "blackhole", `${this.host}/32`);
    } catch {
      // It was given back.
    }
    ip("netns", "del", this.#name);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function ip(...args: string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] });
}
