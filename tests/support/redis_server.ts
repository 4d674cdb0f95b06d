/**
 * A real Redis for the live tests, on Deno and Node: the one of `REDIS_URL`, else a private `redis-server` or
 * `valkey-server` from the PATH, else a container. A private one has its own port and folder, saves nothing, and ends
 * with the process that started it.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { type Engine, engineRuns, startContainer } from "./redis_container.ts";

/** How to start a server. */
export interface ServerOptions {
  /** More arguments of `redis-server`, such as `["--requirepass", "secret"]`. */
  args?: readonly string[];
  /** @default {a free one} */
  port?: number;
}

/** A running server. */
export interface RedisServer extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Such as `redis-server 7.0.15`, or `REDIS_URL`. */
  readonly version: string;
  /** Stops it, without saving. Idempotent. */
  stop(): Promise<void>;
  /** Starts it again on the same port with the same arguments; stops it first where it runs. */
  restart(): Promise<void>;
  /** Sends a signal to its process: `SIGKILL` kills, `SIGSTOP` freezes and `SIGCONT` thaws it. */
  kill(signal: Signal): Promise<void>;
}

/** The signals that tests send. */
export type Signal = "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT";

/** Where servers come from on this machine. */
export type ServerSource =
  | { kind: "url"; url: string }
  | { kind: "binary"; path: string; version: string }
  | { kind: "container" }
  | { kind: "none" };

const HOST = "127.0.0.1";
const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 5_000;

/** Whether tests can start, stop and restart servers: not where `REDIS_URL` names one that is someone else's. */
export function canOwnServer(): boolean {
  return !process.env.REDIS_URL;
}

/** Finds out where servers come from. */
export async function findServer(): Promise<ServerSource> {
  const url = process.env.REDIS_URL;
  if (url) return { kind: "url", url };
  for (const name of ["redis-server", "valkey-server"]) {
    const path = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, name)).find(existsSync);
    if (path === undefined) continue;
    const version = /v=(\S+)/.exec(execFileSync(path, ["--version"], { encoding: "utf8" }))?.[1] ?? "";
    return { kind: "binary", path, version: `${name} ${version}` };
  }
  return await engineRuns() ? { kind: "container" } : { kind: "none" };
}

/**
 * Starts a server and resolves when it answers PING. Where `REDIS_URL` is set it is that server, which cannot be given
 * options, stopped or restarted; ask {@linkcode canOwnServer} first.
 */
export async function startServer(options: ServerOptions = {}): Promise<RedisServer> {
  const source = await findServer();
  switch (source.kind) {
    case "url":
      if (options.args !== undefined || options.port !== undefined) {
        throw new Error("Cannot start a server with options of its own: REDIS_URL is set");
      }
      return new ForeignServer(source.url);
    case "none":
      throw new Error("Cannot find a Redis: set REDIS_URL, or install redis-server or valkey-server, or start Docker");
    case "binary":
    case "container": {
      const port = options.port ?? await freePort();
      const engine = source.kind === "binary" ? new ProcessEngine(source) : await startContainer();
      const server = new OwnServer(engine, port, options.args ?? []);
      try {
        await server.restart();
      } catch (error) {
        await server[Symbol.asyncDispose]();
        throw error;
      }
      return server;
    }
  }
}

class ForeignServer implements RedisServer {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly version = "REDIS_URL";

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.url = url;
    this.host = hostname;
    this.port = Number(port || 6379);
  }

  stop(): Promise<void> {
    return Promise.reject(new Error("Cannot stop the server of REDIS_URL"));
  }

  restart(): Promise<void> {
    return Promise.reject(new Error("Cannot restart the server of REDIS_URL"));
  }

  kill(signal: Signal): Promise<void> {
    return Promise.reject(new Error(`Cannot send a signal to the server of REDIS_URL: ${signal}`));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

class OwnServer implements RedisServer {
  readonly host = HOST;
  readonly port: number;
  readonly #engine: Engine;
  readonly #args: readonly string[];

  constructor(engine: Engine, port: number, args: readonly string[]) {
    this.#engine = engine;
    this.port = port;
    this.#args = ["--port", String(port), "--save", "", "--appendonly", "no", ...args];
  }

  get url(): string {
    return `redis://${this.host}:${this.port}`;
  }

  get version(): string {
    return this.#engine.version;
  }

  stop(): Promise<void> {
    return this.#engine.stop();
  }

  async restart(): Promise<void> {
    await this.#engine.stop();
    if (await answersPing(this.host, this.port)) {
      throw new Error(`Cannot start ${this.version}: another server has port ${this.port}`);
    }
    await this.#engine.start(this.port, this.#args);
    const late = Date.now() + START_TIMEOUT_MS;
    while (!await answersPing(this.host, this.port)) {
      const failure = this.#engine.failure();
      if (failure === undefined && Date.now() < late) {
        await delay(10);
        continue;
      }
      await this.#engine.stop();
      throw new Error(`Cannot start ${this.version} on port ${this.port}: ${failure ?? "no answer to PING"}`);
    }
  }

  kill(signal: Signal): Promise<void> {
    return this.#engine.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine.stop();
    await this.#engine.dispose();
  }
}

/** Runs a server as a child of this process. */
class ProcessEngine implements Engine {
  readonly version: string;
  readonly #path: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "earshot-redis-"));
  #child: ChildProcess | undefined;
  #watchdog: ChildProcess | undefined;
  #output = "";

  constructor(source: { path: string; version: string }) {
    this.#path = source.path;
    this.version = source.version;
  }

  start(_port: number, args: readonly string[]): Promise<void> {
    this.#output = "";
    const child = spawn(this.#path, ["--dir", this.#folder, "--bind", HOST, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => this.#output = (this.#output + chunk.toString()).slice(-2_000));
    }
    this.#child = child;
    this.#watchdog = watch(child, this.#folder);
    return Promise.resolve();
  }

  failure(): string | undefined {
    return this.#child === undefined || hasEnded(this.#child) ? `it ended: ${this.#output.trim()}` : undefined;
  }

  async stop(): Promise<void> {
    const child = this.#child;
    const watchdog = this.#watchdog;
    this.#child = undefined;
    this.#watchdog = undefined;
    if (child !== undefined && !hasEnded(child)) {
      const ended = ending(child);
      signalTo(child, "SIGCONT");
      signalTo(child, "SIGTERM");
      const late = setTimeout(() => signalTo(child, "SIGKILL"), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(late);
    }
    if (watchdog === undefined || hasEnded(watchdog)) return;
    const dismissed = ending(watchdog);
    signalTo(watchdog, "SIGKILL");
    await dismissed;
  }

  kill(signal: Signal): Promise<void> {
    const child = this.#child;
    if (child === undefined || hasEnded(child)) {
      return Promise.reject(new Error(`Cannot send a signal to a stopped server: ${signal}`));
    }
    const ended = signal === "SIGKILL" || signal === "SIGTERM" ? ending(child) : Promise.resolve();
    signalTo(child, signal);
    return ended;
  }

  async dispose(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Ends the server should this process be killed: the watchdog's standard input ends with us. */
function watch(child: ChildProcess, folder: string): ChildProcess | undefined {
  if (child.pid === undefined) return undefined;
  const script = 'read -r _; kill -9 "$1"; rm -rf "$2"';
  return spawn("sh", ["-c", script, "sh", String(child.pid), folder], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** By its pid, as Deno's `ChildProcess.kill` sends only the first signal. */
function signalTo(child: ChildProcess, signal: Signal): void {
  if (child.pid !== undefined) process.kill(child.pid, signal);
}

function ending(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.once("exit", () => resolve()));
}

/** Whether something at the port speaks RESP: `-NOAUTH` is an answer too, `-LOADING` is not yet. */
function answersPing(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => socket.write("PING\r\n"));
    const done = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.setTimeout(1_000, () => done(false));
    socket.on("data", (chunk) => done(!chunk.toString().startsWith("-LOADING")));
    socket.on("error", () => done(false));
    socket.on("close", () => resolve(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, HOST, () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
