/** Registers a test with the runner of the runtime: `Deno.test`, or `node:test` on Node and Bun. */
export type Test = (name: string, body: () => void | Promise<void>) => void;

export const test: Test = "Deno" in globalThis ? (name, body) => Deno.test(name, body) : await (async () => {
  const node = await import("node:test");
  return (name, body) => void node.test(name, body);
})();
