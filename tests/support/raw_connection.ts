/** A second pair of eyes: a connection to the server that shares no code with the library. */

import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** What a server answers; a map lies flat, and an error reply rejects. */
export type RawReply = string | number | null | RawReply[];

/** What is left of a subscriber on the server. */
export interface Traces {
  /** PUBSUB NUMSUB, for each channel asked for. */
  readonly channels: readonly number[];
  /** PUBSUB SHARDNUMSUB, for each shard channel asked for. */
  readonly shardChannels: readonly number[];
  /** PUBSUB NUMPAT, of all clients together. */
  readonly patterns: number;
  /** How many connections of that name CLIENT LIST shows. */
  readonly connections: number;
}

type Argument = string | number | Uint8Array;
type Answer = RawReply | Error;

export class RawConnection implements AsyncDisposable {
  #socket: Socket;
  #waiting: ((answer: Answer) => void)[] = [];
  #bytes: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", () => {});
    socket.on("close", () => {
      for (const answer of this.#waiting.splice(0)) answer(new Error("The raw connection is closed"));
    });
  }

  /** Connects, and logs in where `login` (user and password, or the password alone) is given. */
  static async open(port: number, login: readonly string[] = []): Promise<RawConnection> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    const raw = new RawConnection(socket);
    if (login.length > 0) await raw.ask("AUTH", ...login);
    return raw;
  }

  /** Sends a command; commands of one turn go out in one write. */
  ask(...args: Argument[]): Promise<RawReply> {
    return this.askAll([args]).then((replies) => replies[0] ?? null);
  }

  /** Sends many commands in one write. */
  async askAll(commands: readonly (readonly Argument[])[]): Promise<RawReply[]> {
    if (this.#socket.destroyed) throw new Error("The raw connection is closed");
    const answers = commands.map(() => new Promise<Answer>((resolve) => this.#waiting.push(resolve)));
    this.#socket.write(Buffer.concat(commands.map(encode)));
    const replies: RawReply[] = [];
    for (const answer of await Promise.all(answers)) {
      if (answer instanceof Error) throw answer;
      replies.push(answer);
    }
    return replies;
  }

  /** What the server knows now of these names and of the connections called `client`; nothing is waited for. */
  async traces(
    client: string,
    names: { channels?: readonly string[]; shardChannels?: readonly string[] } = {},
  ): Promise<Traces> {
    const [channels, shardChannels, patterns, list] = await this.askAll([
      ["PUBSUB", "NUMSUB", ...names.channels ?? []],
      ["PUBSUB", "SHARDNUMSUB", ...names.shardChannels ?? []],
      ["PUBSUB", "NUMPAT"],
      ["CLIENT", "LIST"],
    ]);
    return {
      channels: countsOf(channels),
      shardChannels: countsOf(shardChannels),
      patterns: Number(patterns),
      connections: String(list).split("\n").filter((line) => line.includes(` name=${client} `)).length,
    };
  }

  /** The fields that CLIENT LIST shows of the connections called `client`. */
  async clients(client: string): Promise<Map<string, string>[]> {
    const list = String(await this.ask("CLIENT", "LIST")).split("\n");
    return list.filter((line) => line.includes(` name=${client} `)).map((line) =>
      new Map(
        line.split(" ").map((field): [string, string] => {
          const at = field.indexOf("=");
          return [field.slice(0, at), field.slice(at + 1)];
        }),
      )
    );
  }

  /** A number of INFO, such as `total_connections_received`. */
  async info(field: string): Promise<number> {
    const text = String(await this.ask("INFO", "everything"));
    return Number(new RegExp(`^${field}:(\\d+)`, "m").exec(text)?.[1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.closed) return;
    const closed = once(this.#socket, "close");
    this.#socket.destroy();
    await closed;
  }

  #take(chunk: Buffer): void {
    const bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    let at = 0;
    for (let read; (read = readReply(bytes, at)) !== undefined;) {
      at = read.end;
      this.#waiting.shift()?.(read.answer);
    }
    this.#bytes = bytes.subarray(at);
  }
}

function encode(args: readonly Argument[]): Buffer {
  const parts = args.flatMap((arg) => {
    const bytes = typeof arg === "object" ? Buffer.from(arg) : Buffer.from(String(arg));
    return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n")];
  });
  return Buffer.concat([Buffer.from(`*${args.length}\r\n`), ...parts]);
}

function readReply(bytes: Buffer, at: number): { answer: Answer; end: number } | undefined {
  const line = bytes.indexOf("\r\n", at);
  if (line < 0) return undefined;
  const text = bytes.toString("utf8", at + 1, line);
  const end = line + 2;
  switch (String.fromCharCode(bytes[at] ?? 0)) {
    case "+":
      return { answer: text, end };
    case "-":
      return { answer: new Error(text), end };
    case ":":
      return { answer: Number(text), end };
    case "$": {
      const length = Number(text);
      if (length < 0) return { answer: null, end };
      if (bytes.length < end + length + 2) return undefined;
      return { answer: bytes.toString("utf8", end, end + length), end: end + length + 2 };
    }
    case "*":
      return readArray(bytes, end, Number(text));
    case "%":
      return readArray(bytes, end, 2 * Number(text));
    default:
      throw new Error(`Not a reply that this can read: ${JSON.stringify(bytes.toString("latin1", at, line))}`);
  }
}

function readArray(bytes: Buffer, at: number, length: number): { answer: Answer; end: number } | undefined {
  if (length < 0) return { answer: null, end: at };
  const items: RawReply[] = [];
  let end = at;
  while (items.length < length) {
    const item = readReply(bytes, end);
    if (item === undefined) return undefined;
    if (item.answer instanceof Error) return item;
    items.push(item.answer);
    end = item.end;
  }
  return { answer: items, end };
}

function countsOf(reply: RawReply | undefined): number[] {
  return Array.isArray(reply) ? reply.filter((_, index) => index % 2 === 1).map(Number) : [];
}
