/**
 * A server whose connections are transports, over `node:net` and `node:tls` on every runtime.
 *
 * @module
 */

import type { Socket } from "node:net";
import { endpointText } from "../endpoint.ts";
import { ConnectionError } from "../errors.ts";
import { builtin, nodeTransport } from "./node.ts";
import type { Transport } from "./transport.ts";

/** Where to listen. */
export interface ListenOptions {
  /** TCP port; 0 takes a free one. @default {0} */
  port?: number;
  /** Address to listen on. @default {"127.0.0.1"} */
  host?: string;
  /** Path of a unix socket, instead of host and port. */
  path?: string;
  /** Speak TLS with this certificate and its private key, both in PEM. */
  tls?: { cert: string; key: string };
}

/** A server that listens. */
export interface Listener extends AsyncDisposable {
  /** The address that it listens on; `"localhost"` for a unix socket. */
  readonly host: string;
  /** The TCP port that it listens on; 0 for a unix socket. */
  readonly port: number;
  /** The path of the unix socket. */
  readonly path: string | undefined;
  /** Stops, and destroys the accepted connections; resolves when the port is free. Idempotent. */
  close(): Promise<void>;
}

/**
 * Listens, and calls `onTransport` with each connection; under TLS after its handshake. A handshake that fails is dropped
 * without a word.
 *
 * @throws {ConnectionError} when it cannot listen there; its text says why, its `cause` is the platform's error
 */
export async function listen(options: ListenOptions, onTransport: (transport: Transport) => void): Promise<Listener> {
  const { port = 0, host = "127.0.0.1", path } = options;
  const server = options.tls === undefined
    ? builtin("node:net").createServer()
    : builtin("node:tls").createServer(options.tls);
  const sockets = new Set<Socket>();
  // Under TLS this is the raw socket, which is there before the handshake and outlives a failed one.
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
  });
  server.on(options.tls === undefined ? "connection" : "secureConnection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.setNoDelay(true);
    onTransport(nodeTransport(socket, peerText(socket, path)));
  });
  await new Promise<void>((resolve, reject) => {
    // Stays for good: a failed `accept` later on must not end the process.
    server.on("error", (error: Error) => reject(cannotListen(endpointText({ host, port, path }), error)));
    server.listen(path === undefined ? { port, host } : { path }, resolve);
  });
  let closing: Promise<void> | undefined;
  const close = () =>
    closing ??= new Promise<void>((resolve) => {
      server.close(() => resolve());
      // Latest first: Node 20 crashes when a raw socket goes before its TLS socket in the turn of the handshake.
      for (const socket of [...sockets].reverse()) socket.destroy();
    });
  const address = server.address();
  const bound = address === null || typeof address === "string" ? { host: "localhost", port: 0 } : {
    host: address.address,
    port: address.port,
  };
  return { ...bound, path, close, [Symbol.asyncDispose]: close };
}

function peerText(socket: Socket, path: string | undefined): string {
  return endpointText({ host: socket.remoteAddress ?? "unknown", port: socket.remotePort ?? 0, path });
}

function cannotListen(endpoint: string, error: Error): ConnectionError {
  const code = "code" in error ? error.code : undefined;
  const reason = code === "EADDRINUSE"
    ? "the address is already in use"
    : code === "EACCES"
    ? "the operating system denies it"
    : error.message;
  return new ConnectionError(`Cannot listen on ${endpoint}: ${reason}`, { endpoint, cause: error });
}
