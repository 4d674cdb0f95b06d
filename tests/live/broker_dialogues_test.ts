import { assertEquals } from "@std/assert";
import { deadline } from "@std/async";
import { connect } from "node:net";
import { nodeTransport } from "../../src/transport/node.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { DIALOGUES } from "../broker/dialogues.ts";
import { command, show } from "../broker/peer.ts";
import { findServer, startServer } from "../support/redis_server.ts";
import { testUnless } from "../support/skip.ts";

const source = await findServer();
const SKIP = source.kind === "binary" && /^redis-server 7\./.test(source.version)
  ? undefined
  : "the words of the dialogues are those of Redis 7";

/** Too long for a server that has anything to say. */
const PATIENCE_MS = 5_000;

class Talk {
  readonly #transport: Transport;
  #heard = "";

  constructor(port: number) {
    this.#transport = nodeTransport(connect(port, "127.0.0.1"), `127.0.0.1:${port}`);
  }

  /** Says a line, and hears as much as `answer` is long; for `*`, the whole answer to HELLO. */
  async say(line: string, answer: string): Promise<string> {
    if (line !== "") await this.#transport.write(command(line));
    const enough = () => answer === "*" ? this.#heard.endsWith("modules↵*0↵") : this.#heard.length >= answer.length;
    while (!enough()) {
      const chunk = await deadline(this.#transport.read(), PATIENCE_MS);
      if (chunk === undefined) break;
      this.#heard += show(chunk);
    }
    const heard = this.#heard;
    this.#heard = "";
    return heard;
  }

  close(): void {
    this.#transport.close();
  }
}

testUnless(SKIP, "A real server says in every dialogue what the broker says", async () => {
  await using server = await startServer();
  for (const { name, lines } of DIALOGUES) {
    const [first, second] = [new Talk(server.port), new Talk(server.port)];
    for (const [said, answer] of lines) {
      const heard = said.startsWith("2:") ? await second.say(said.slice(2), answer) : await first.say(said, answer);
      if (answer !== "*") assertEquals(heard, answer, `${name}: ${said} → ${heard}`);
    }
    // Leaves no subscription behind that the next dialogue would see.
    for (const talk of [first, second]) {
      if (lines.at(-1)?.[0] !== "QUIT" || talk === second) await talk.say("RESET", "+RESET↵");
      talk.close();
    }
  }
});
