/**
 * A clock that all processes of this machine share: CLOCK_MONOTONIC. That of Node is; those of Deno and Bun begin with
 * the process, so how far they are from it is found out once, through the C library. Linux only.
 *
 * @module
 */

import process from "node:process";

const LIBC = "libc.so.6";
const CLOCK_MONOTONIC = 1;
const TRIES = 10_000;

/** What we use of Bun, whose types are not here. */
interface BunForeign {
  dlopen(path: string, symbols: Record<string, { args: string[]; returns: string }>): {
    symbols: { clock_gettime(clock: number, time: Uint8Array): number };
  };
}

/** Nanoseconds of CLOCK_MONOTONIC since `baseNs`; good to a fraction of a microsecond. */
export async function sharedClock(baseNs: bigint): Promise<() => number> {
  const monotonic = await readMonotonic();
  // The quickest of many looks is the one that nothing came between.
  let [quickest, offsetNs] = [Infinity, 0];
  for (let i = 0; i < TRIES; i++) {
    const before = performance.now();
    const ns = Number(monotonic() - baseNs);
    const after = performance.now();
    if (after - before >= quickest) continue;
    quickest = after - before;
    offsetNs = ns - (before + after) / 2 * 1e6;
  }
  return () => performance.now() * 1e6 + offsetNs;
}

/** CLOCK_MONOTONIC, in nanoseconds. */
export async function monotonicNs(): Promise<bigint> {
  return (await readMonotonic())();
}

async function readMonotonic(): Promise<() => bigint> {
  const { versions } = process;
  if (process.platform !== "linux") throw new Error(`No clock is known that processes share: ${process.platform}`);
  const time = new BigInt64Array(2);
  const bytes = new Uint8Array(time.buffer);
  const nanoseconds = () => time[0]! * 1_000_000_000n + time[1]!;
  if ("Deno" in globalThis) {
    const { symbols } = Deno.dlopen(LIBC, { clock_gettime: { parameters: ["i32", "buffer"], result: "i32" } });
    return () => (symbols.clock_gettime(CLOCK_MONOTONIC, bytes), nanoseconds());
  }
  if (versions.bun !== undefined) {
    const name = "bun:ffi";
    const ffi: BunForeign = await import(name);
    const { symbols } = ffi.dlopen(LIBC, { clock_gettime: { args: ["i32", "ptr"], returns: "i32" } });
    return () => (symbols.clock_gettime(CLOCK_MONOTONIC, bytes), nanoseconds());
  }
  return () => process.hrtime.bigint();
}
