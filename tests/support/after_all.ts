/** Registers what is to be done when all tests of the file are over, with the runner of the runtime. */
export const afterAll: (body: () => Promise<void>) => void = "Deno" in globalThis
  ? (body) => Deno.test.afterAll(body)
  : await (async () => {
    const node = await import("node:test");
    return (body) => node.after(body);
  })();
