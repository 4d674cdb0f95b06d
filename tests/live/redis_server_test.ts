import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { connect } from "node:net";
import { canOwnServer, findServer, startServer } from "../support/redis_server.ts";
import { testUnless } from "../support/skip.ts";

const NOT_OURS = canOwnServer() ? undefined : "REDIS_URL names a server that is not ours";

testUnless(NOT_OURS, "A server starts within its deadline, answers, and stops", async () => {
  const server = await startServer();
  assertEquals(await ask(server.port, "PING"), "+PONG\r\n");
  assertMatch(server.version, /^(redis|valkey)/);
  await server.stop();
  await server.stop();
  await assertRejects(() => ask(server.port, "PING"), Error);
  await server[Symbol.asyncDispose]();
});

testUnless(NOT_OURS, "A server restarts on its port with its arguments, also after it was killed", async () => {
  await using server = await startServer({ args: ["--requirepass", "secret"] });
  for (const end of [() => server.stop(), () => server.kill("SIGKILL"), () => Promise.resolve()]) {
    await end();
    await server.restart();
    assertMatch(await ask(server.port, "PING"), /^-NOAUTH/);
  }
});

testUnless(NOT_OURS, "A frozen server can still be stopped", async () => {
  await using server = await startServer();
  await server.kill("SIGSTOP");
  await server.stop();
  await assertRejects(() => ask(server.port, "PING"), Error);
});

testUnless(NOT_OURS, "A server that cannot start tells why", async () => {
  await using server = await startServer();
  const why = (await findServer()).kind === "binary" ? "zero" : "Cannot start";
  await assertRejects(() => startServer({ args: ["--maxclients", "zero"] }), Error, why);
  await assertRejects(() => startServer({ port: server.port }), Error, "another server has port");
});

function ask(port: number, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(`${line}\r\n`));
    socket.once("data", (chunk) => {
      socket.destroy();
      resolve(chunk.toString());
    });
    socket.once("error", reject);
  });
}
