/** What is still held when all that can be freed is freed. */
import { setTimeout } from "node:timers";
import process from "node:process";
import v8 from "node:v8";
import vm from "node:vm";

/** Frees what can be freed; undefined where the runtime does not let a program ask for it. */
export const collect: (() => void) | undefined = (() => {
  const { Bun } = globalThis as { Bun?: { gc(now: boolean): void } };
  if (Bun !== undefined) return () => Bun.gc(true);
  try {
    v8.setFlagsFromString("--expose-gc");
    return vm.runInNewContext("gc") as () => void;
  } catch {
    return undefined;
  }
})();

/** Why what is held cannot be tested here, if so. */
export const CANNOT_COLLECT = collect === undefined ? "the garbage collector cannot be asked to run" : undefined;

/** Bytes of strings, objects and buffers that are held now. */
export async function held(): Promise<number> {
  // Buffers are freed some turns after what held them; on a busy machine some more.
  let least = Infinity;
  for (let rounds = 0; rounds < 3;) {
    collect?.();
    await new Promise((resolve) => setTimeout(resolve, 2));
    const { heapUsed, external } = process.memoryUsage();
    // JavaScriptCore counts what is outside its heap in it as well.
    const now = "Bun" in globalThis ? heapUsed : heapUsed + external;
    rounds = now < 0.99 * least ? 1 : rounds + 1;
    least = Math.min(least, now);
  }
  return least;
}
