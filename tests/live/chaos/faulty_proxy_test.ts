import { assert, assertEquals } from "@std/assert";
import { deadline, delay } from "@std/async";
import type { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { FaultyProxy } from "../../support/faulty_proxy.ts";
import { test } from "../../support/test.ts";
import { until } from "../../support/until.ts";

/** A socket, what came of it, and how it ended. */
interface End {
  readonly socket: Socket;
  text: string;
  /** How many bytes each piece had. */
  readonly pieces: number[];
  ended: "no" | "by FIN" | "by RST";
}

function endOf(socket: Socket): End {
  const end: End = { socket, text: "", pieces: [], ended: "no" };
  socket.setNoDelay(true);
  socket.on("data", (chunk: Buffer) => {
    end.text += chunk.toString();
    end.pieces.push(chunk.length);
  });
  socket.on("end", () => end.ended = "by FIN");
  socket.on("error", () => end.ended = "by RST");
  return end;
}

/** A client and a server, and the proxy between them. */
class Stage implements AsyncDisposable {
  readonly proxy: FaultyProxy;
  #server: Server;
  #sockets: Socket[] = [];

  private constructor(server: Server, proxy: FaultyProxy) {
    this.#server = server;
    this.proxy = proxy;
  }

  static async open(): Promise<Stage> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    return new Stage(
      server,
      await FaultyProxy.open(typeof address === "object" && address !== null ? address.port : 0),
    );
  }

  async join(): Promise<{ near: End; far: End }> {
    const accepted = once(this.#server, "connection");
    const near = endOf(connect(this.proxy.port, "127.0.0.1"));
    const [socket] = await accepted;
    this.#sockets.push(near.socket, socket);
    return { near, far: endOf(socket) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    const open = this.#sockets.filter((socket) => !socket.closed);
    const closed = open.map((socket) => once(socket, "close"));
    for (const socket of open) socket.destroy();
    await Promise.all(closed);
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** Registers a test of what happens between a client and a server. */
function onStage(name: string, body: (stage: Stage) => Promise<void>): void {
  test(name, async () => {
    await using stage = await Stage.open();
    await deadline(body(stage), 10_000);
  });
}

onStage("A proxy passes bytes and ends on, in order, in both directions", async (stage) => {
  const { near, far } = await stage.join();
  near.socket.write("hello");
  far.socket.write("welcome");
  await until("both", 5_000, () => far.text === "hello" && near.text === "welcome");

  far.socket.end("goodbye");
  await until("both ends", 5_000, () => near.ended !== "no" && far.ended !== "no");
  assertEquals([near.text, near.ended, far.ended], ["welcomegoodbye", "by FIN", "by FIN"]);
  await until("it has let go", 5_000, () => stage.proxy.open === 0);
});

onStage("A cut is a FIN on either side, a reset an RST", async (stage) => {
  for (const ended of ["by FIN", "by RST"] as const) {
    const { near, far } = await stage.join();
    near.socket.write("hello");
    await until("the first bytes", 5_000, () => far.text === "hello");
    if (ended === "by FIN") stage.proxy.cut();
    else stage.proxy.reset();
    await until("both ends", 5_000, () => near.ended !== "no" && far.ended !== "no");
    assertEquals([near.ended, far.ended], [ended, ended]);
  }
});

onStage("A frozen direction loses its bytes and its end, the other one flows", async (stage) => {
  const { near, far } = await stage.join();
  stage.proxy.freeze("present", ["down"]);
  far.socket.write("lost");
  near.socket.write("heard");
  await until("the other direction", 5_000, () => far.text === "heard");
  far.socket.end();
  await delay(50);
  assertEquals([near.text, near.ended], ["", "no"]);
});

onStage("A client that sends the trigger is frozen, and only once", async (stage) => {
  const [first, second] = [await stage.join(), await stage.join()];
  stage.proxy.freeze({ trigger: "now" });
  first.near.socket.write("not yet");
  await until("bytes before it", 5_000, () => first.far.text === "not yet");
  first.near.socket.write("now");
  await delay(50);
  second.near.socket.write("now");
  await until("the second one", 5_000, () => second.far.text === "now");
  first.near.socket.write("!");
  first.far.socket.write("?");
  await delay(50);
  assertEquals([first.far.text, first.near.text], ["not yet", ""]);
});

onStage("A stalled connection loses nothing, not even its end", async (stage) => {
  const { near, far } = await stage.join();
  stage.proxy.stall();
  far.socket.end("late");
  await delay(100);
  assertEquals([near.text, near.ended], ["", "no"]);
  stage.proxy.go();
  await until("what was held back", 5_000, () => near.ended === "by FIN");
  assertEquals(near.text, "late");
  assert(stage.proxy.longestStayMs >= 90, `It says ${stage.proxy.longestStayMs} ms`);
});

onStage("Bytes are held up, and go in pieces with pauses between them", async (stage) => {
  const { near, far } = await stage.join();
  stage.proxy.shape("down", { delayMs: 80, piece: 1, pauseMs: 5 });
  const began = performance.now();
  far.socket.write("abcdef");
  await until("the first byte", 5_000, () => near.text !== "");
  assert(performance.now() - began >= 75, "It was not held up");
  await until("all of them", 5_000, () => near.text === "abcdef");
  assert(near.pieces.length >= 3, `It came in ${near.pieces.length} pieces`);
  stage.proxy.shape("down", {});
  far.socket.write("ghijkl");
  await until("the rest", 5_000, () => near.text === "abcdefghijkl");
});

onStage("A truncated connection passes just so many bytes more", async (stage) => {
  const { near, far } = await stage.join();
  stage.proxy.truncate("down", 3);
  near.socket.write("flows");
  await until("the other direction", 5_000, () => far.text === "flows");
  far.socket.write("abcdef");
  await until("both ends", 5_000, () => near.ended !== "no" && far.ended !== "no");
  assertEquals(near.text, "abc");
});

onStage("A connection can be refused from its first moment", async (stage) => {
  for (const welcome of ["cut", "reset"] as const) {
    stage.proxy.welcome(welcome);
    const near = endOf(connect(stage.proxy.port, "127.0.0.1"));
    await until("the end", 5_000, () => near.socket.closed);
    assertEquals([near.text, near.ended], ["", welcome === "cut" ? "by FIN" : "by RST"]);
  }
  stage.proxy.thaw();
  const { near, far } = await stage.join();
  near.socket.write("hello");
  await until("a connection that flows", 5_000, () => far.text === "hello");
});

onStage("Who does not read is not read for, and gets everything in the end", async (stage) => {
  const { near, far } = await stage.join();
  near.socket.pause();
  const total = 64 * 1024 * 1024;
  let held: "no" | "yes" = "no";
  const block = "x".repeat(1024 * 1024);
  for (let sent = 0; sent < total; sent += block.length) if (!far.socket.write(block)) held = "yes";
  await delay(200);
  assert(held === "yes" && far.socket.writableLength > 0, "The proxy took everything");
  near.socket.resume();
  await until("all of it", 10_000, () => near.pieces.reduce((sum, bytes) => sum + bytes, 0) === total);
});

onStage("A client that left during a stall has left, also where a freeze follows", async (stage) => {
  const { near, far } = await stage.join();
  stage.proxy.stall();
  near.socket.end();
  await delay(100);
  assertEquals(far.ended, "no");
  stage.proxy.freeze("present", ["up", "down"]);
  await until("the server hears of it", 5_000, () => far.ended !== "no");
});
