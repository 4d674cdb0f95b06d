/** Serves the far sides of `far_side.ts`, over HTTP. */

import { listen, type Listener } from "../../../src/transport/listen.ts";
import type { Transport } from "../../../src/transport/transport.ts";
import { readFile } from "node:fs/promises";

interface Far {
  readonly listener: Listener;
  readonly accepted: Transport[];
  readonly waiting: ((transport: Transport) => void)[];
}

/** Listens until it is disposed of. */
export function serveFarSides(): AsyncDisposable & { readonly url: string } {
  const fars = new Map<string, Far>();
  const transports = new Map<string, Transport>();
  let ids = 0;

  async function answer(what: string, id: string, body: () => Promise<Uint8Array>): Promise<BodyInit | null> {
    const transport = transports.get(id);
    switch (what) {
      case "listen": {
        const tls = id === "" ? {} : { tls: { cert: await pem(`${id}.pem`), key: await pem(`${id}.key`) } };
        const accepted: Transport[] = [];
        const waiting: ((transport: Transport) => void)[] = [];
        const listener = await listen(tls, (transport) => {
          const next = waiting.shift();
          if (next === undefined) accepted.push(transport);
          else next(transport);
        });
        const name = String(++ids);
        fars.set(name, { listener, accepted, waiting });
        return JSON.stringify({ id: name, port: listener.port });
      }
      case "accept": {
        const far = fars.get(id);
        if (far === undefined) throw new Error(`There is no such far side: ${id}`);
        const accepted = far.accepted.shift() ?? await new Promise<Transport>((resolve) => far.waiting.push(resolve));
        const name = String(++ids);
        transports.set(name, accepted);
        return name;
      }
      case "dispose":
        await fars.get(id)?.listener.close();
        return null;
      case "read":
        return new Uint8Array(await transport?.read() ?? []);
      case "write":
        await transport?.write(await body());
        return null;
      case "close":
        transport?.close();
        return null;
      default:
        throw new Error(`There is no such thing to do: ${what}`);
    }
  }

  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const [, what = "", id = ""] = new URL(request.url).pathname.split("/");
    try {
      return new Response(await answer(what, id, () => request.bytes()));
    } catch (error) {
      return new Response(error instanceof Error ? error.message : String(error), { status: 502 });
    }
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    async [Symbol.asyncDispose]() {
      await Promise.all([...fars.values()].map(({ listener }) => listener.close()));
      await server.shutdown();
    },
  };
}

async function pem(name: string): Promise<string> {
  return await readFile(new URL(`../../fixtures/tls/${name}`, import.meta.url), "utf8");
}
