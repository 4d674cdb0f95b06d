/**
 * The far side of a connection that is dialled from inside `workerd`, where nothing can listen: whoever runs the tests
 * listens, and the far side is told what to do over HTTP.
 */

import { ConnectionError } from "../../../src/errors.ts";
import type { Transport } from "../../../src/transport/transport.ts";

/** Where the far side is told what to do; set before the tests run. */
export const place = { url: "" };

/** What to listen with. */
export interface FarOptions {
  /** Speak TLS with this certificate of `tests/fixtures/tls`. */
  readonly certificate?: "localhost" | "expired" | "other" | "stranger";
}

/** A server; disposing it destroys the connections that it has accepted. */
export class FarSide implements AsyncDisposable {
  readonly port: number;
  readonly #id: string;

  constructor(id: string, port: number) {
    this.#id = id;
    this.port = port;
  }

  static async listen({ certificate }: FarOptions = {}): Promise<FarSide> {
    const { id, port } = await (await ask("listen", certificate ?? "")).json();
    return new FarSide(id, port);
  }

  /** The next connection, in the order in which they were accepted. */
  async accept(): Promise<Transport> {
    return new FarTransport(await (await ask("accept", this.#id)).text());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await ask("dispose", this.#id);
  }
}

class FarTransport implements Transport {
  readonly #id: string;

  constructor(id: string) {
    this.#id = id;
  }

  async read(): Promise<Uint8Array | undefined> {
    const answer = await ask("read", this.#id);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    return bytes.byteLength === 0 ? undefined : bytes;
  }

  async write(bytes: Uint8Array): Promise<void> {
    await ask("write", this.#id, bytes.slice());
  }

  close(): void {
    void ask("close", this.#id).catch(() => {});
  }
}

async function ask(what: string, id: string, body: Uint8Array<ArrayBuffer> | null = null): Promise<Response> {
  const response = await fetch(`${place.url}/${what}/${id}`, { method: "POST", body });
  if (response.ok) return response;
  throw new ConnectionError(await response.text());
}
