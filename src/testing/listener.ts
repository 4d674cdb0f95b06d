/**
 * A real socket in front of a test broker.
 *
 * @module
 */

import { endpointText } from "../endpoint.ts";
import type { Listener } from "../transport/listen.ts";
import type { Transport } from "../transport/transport.ts";
import type { Pump } from "./pump.ts";

/** Options of `TestBroker.listen`. */
export interface TestListenOptions {
  /** TCP port; 0 takes a free one. @default {0} */
  port?: number;
  /** Address to listen on. @default {"127.0.0.1"} */
  host?: string;
  /** Path of a unix socket, instead of host and port. */
  path?: string;
}

/** A socket behind which a `TestBroker` answers. Closing it ends the connections that came through it. */
export interface TestListener extends Listener {
  /** What a client connects to: `redis://host:port`, or `unix:///path`. */
  readonly url: string;
}

/** What the socket is in front of. */
export interface Front {
  /** A client has connected; `undefined` when it was turned away. `origin` says by what. */
  accept(transport: Transport, origin: string): Pump | undefined;
  /** The listener is closed. */
  onClosed(listener: TestListener): void;
}

/** Listens, and hands every connection over. */
export async function listenInFront(front: Front, options: TestListenOptions): Promise<TestListener> {
  // Loaded here, so that runtimes without sockets can use the rest of the broker.
  const { listen } = await import("../transport/listen.ts");
  const pumps = new Set<Pump>();
  const origin = options.path === undefined ? "tcp" : "unix";
  const listener = await listen(options, (transport) => {
    const pump = front.accept(transport, origin);
    if (pump === undefined) return;
    pumps.add(pump);
    void pump.ended.then(() => pumps.delete(pump));
  });
  const { host, port, path } = listener;
  const close = async () => {
    const closed = listener.close();
    for (const pump of [...pumps]) pump.drop();
    await Promise.all([closed, ...Array.from(pumps, (pump) => pump.ended)]);
    front.onClosed(result);
  };
  const url = path === undefined ? `redis://${endpointText({ host, port })}` : `unix://${encodeURI(path)}`;
  const result: TestListener = { host, port, path, url, close, [Symbol.asyncDispose]: close };
  return result;
}
