/**
 * A Redis in a container, where there is a Docker engine and no `redis-server`.
 *
 * @module
 */

import { request } from "node:http";
import process from "node:process";

/** What runs a server: a child process or a container. */
export interface Engine {
  readonly version: string;
  start(port: number, args: readonly string[]): Promise<void>;
  /** Stops it where it runs. */
  stop(): Promise<void>;
  kill(signal: string): Promise<void>;
  /** Why it does not run, where it has ended by itself. */
  failure(): string | undefined;
  dispose(): Promise<void>;
}

/** The part of testcontainers that is used here, so that its types are not a part of every type check. */
interface Testcontainers {
  GenericContainer: new (image: string) => Definition;
  Wait: { forLogMessage(message: RegExp): unknown };
  getContainerRuntimeClient(): Promise<{
    container: { dockerode: { getContainer(id: string): { kill(options: { signal: string }): Promise<unknown> } } };
  }>;
}

interface Definition {
  withExposedPorts(port: { container: number; host: number }): this;
  withCommand(command: string[]): this;
  withWaitStrategy(strategy: unknown): this;
  withLogConsumer(consume: (log: { on(type: "data", hear: (chunk: unknown) => void): void }) => void): this;
  start(): Promise<Started>;
}

interface Started {
  getId(): string;
  stop(): Promise<unknown>;
}

/** Which server: `REDIS_IMAGE` names another, such as `valkey/valkey:8`. */
const IMAGE = process.env.REDIS_IMAGE || "redis:7";
const PROGRAM = IMAGE.includes("valkey") ? "valkey-server" : "redis-server";
const PACKAGE: string = "testcontainers";

/** Whether a Docker engine answers, at `DOCKER_HOST` or at its usual socket. */
export function engineRuns(): Promise<boolean> {
  const host = process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock";
  const { protocol, hostname, port, pathname } = new URL(host);
  const at = protocol === "unix:" ? { socketPath: pathname } : { hostname, port };
  return new Promise((resolve) => {
    const ping = request({ ...at, path: "/_ping", timeout: 2_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    ping.on("timeout", () => ping.destroy());
    ping.on("error", () => resolve(false));
    ping.end();
  });
}

/** Makes an engine that runs a server in a container, on the same port inside and outside. */
export async function startContainer(): Promise<Engine> {
  const { GenericContainer, getContainerRuntimeClient, Wait }: Testcontainers = await import(PACKAGE);
  let started: Started | undefined;
  let output = "";
  const stop = async () => {
    const running = started;
    started = undefined;
    await running?.stop();
  };
  return {
    version: IMAGE,
    async start(port, args) {
      output = "";
      try {
        started = await new GenericContainer(IMAGE)
          .withExposedPorts({ container: port, host: port })
          .withCommand([PROGRAM, "--protected-mode", "no", ...args])
          // Ends with the log of a server that cannot start; a port that never opens would be waited for.
          .withWaitStrategy(Wait.forLogMessage(/Ready to accept connections/))
          .withLogConsumer((log) => log.on("data", (chunk) => output = (output + String(chunk)).slice(-2_000)))
          .start();
      } catch (cause) {
        // One that ends at once may be gone before its log is read.
        throw new Error(`Cannot start ${IMAGE}: ${output.trim() || cause}`, { cause });
      }
    },
    stop,
    async kill(signal) {
      if (started === undefined) throw new Error(`Cannot send a signal to a stopped server: ${signal}`);
      const { container } = await getContainerRuntimeClient();
      await container.dockerode.getContainer(started.getId()).kill({ signal });
    },
    failure: () => undefined,
    dispose: stop,
  };
}
