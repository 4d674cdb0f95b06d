import { delay } from "@std/async";

/** Asks again every few milliseconds until the answer is yes; fails when `ms` pass first. */
export async function until(what: string, ms: number, condition: () => boolean | Promise<boolean>): Promise<void> {
  const late = performance.now() + ms;
  while (!await condition()) {
    if (performance.now() > late) throw new Error(`Not within ${ms} ms: ${what}`);
    await delay(5);
  }
}
