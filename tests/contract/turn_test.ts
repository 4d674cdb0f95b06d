import { assert, assertEquals } from "@std/assert";
import net from "node:net";
import { dial } from "../../src/transport/dial.ts";
import { test } from "../support/test.ts";

const FLOOD = new Uint8Array(16 * 1024 * 1024);
/** Promises that a consumer awaits for each chunk: about as many as a chunk of short messages has. */
const STEPS = 1_000;
/** What a leaf may have at hand, in chunks; the socket holds ten times as many. */
const MOST = 8;

for (const room of [undefined, new Uint8Array(256 * 1024)]) {
  const where = room === undefined ? "" : ", read into a room";
  test(`however much waits in the socket${where}, whoever consumes what was read keeps up`, async () => {
    const server = net.createServer((socket) => void socket.end(FLOOD));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    assert(address !== null && typeof address === "object");
    const endpoint = { host: "127.0.0.1", port: address.port };
    const transport = await dial(endpoint, { signal: new AbortController().signal });
    let behind = 0;
    let most = 0;
    let total = 0;
    const consume = async () => {
      most = Math.max(most, ++behind);
      for (let step = 0; step < STEPS; step++) await undefined;
      behind--;
    };
    try {
      for (let chunk; (chunk = await transport.read(room)) !== undefined;) {
        total += chunk.length;
        consume();
      }
    } finally {
      transport.close();
      server.close();
    }
    assertEquals(total, FLOOD.length);
    assert(most <= MOST, `Chunks that waited for their consumer: ${most}`);
  });
}
