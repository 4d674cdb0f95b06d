/**
 * Keeps a Redis busy over one raw socket: PUBLISH commands, pipelined, the next batch whenever the answers to one are in.
 * Runs on Deno. Its arguments are a port, a file of ready-made commands, to be sent again and again, and how long each of
 * them is. It prints "ready", and begins with a line on its standard input. When a message goes to anything but one
 * receiver, it says so and ends.
 */

/** So many bytes of commands make a batch; two batches are on their way, so that the server never waits for us. */
const BATCH_BYTES = 64 * 1024;
/** One receiver. */
const ONE = new TextEncoder().encode(":1\r\n");

const [port = "", file = "", length = ""] = Deno.args;
const commands = await Deno.readFile(file);
const commandBytes = Number(length);
const batch = Math.max(1, Math.floor(BATCH_BYTES / commandBytes));

const conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
conn.setNoDelay(true);
const answers = new Uint8Array(64 * 1024);
let next = 0;
let sent = 0;
let receivedBytes = 0;

async function send(): Promise<void> {
  const bytes = commands.subarray(next, next + batch * commandBytes);
  next = (next + bytes.length) % commands.length;
  sent += bytes.length / commandBytes;
  for (let written = 0; written < bytes.length;) written += await conn.write(bytes.subarray(written));
}

/** Reads some answers; false when there is one that should not be. */
async function receive(): Promise<boolean> {
  const count = await conn.read(answers) ?? 0;
  for (let i = 0; i < count; i++) {
    if (answers[i] !== ONE[(receivedBytes + i) % ONE.length]) return false;
  }
  receivedBytes += count;
  return count > 0;
}

console.log("ready");
await Deno.stdin.read(new Uint8Array(1));
await send();
await send();
while (await receive()) {
  while (sent - Math.floor(receivedBytes / ONE.length) <= batch) await send();
}
console.log("A message did not go to one receiver");
