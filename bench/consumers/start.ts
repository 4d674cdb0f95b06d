/**
 * The first lines of a program: imports a client, waits for its first message, tells how long that took, and ends. The
 * arguments are the address of a `start_CLIENT` module, a port and a channel. The address is no literal, so that nothing
 * of the module is loaded before the clock runs.
 */

const began = performance.now();

/** How long a program took, and what it received. */
export interface Started {
  /** From the first line of the program to its first message, in milliseconds. */
  readonly ms: number;
  readonly payload: string;
}

/** Subscribes, and resolves with the first payload. */
export type FirstMessage = (port: number, channel: string) => Promise<string>;

const { default: process } = await import("node:process");
const [, , address = "", port = "", channel = ""] = process.argv;
const { firstMessage }: { firstMessage: FirstMessage } = await import(address);
const payload = await firstMessage(Number(port), channel);
const started: Started = { ms: performance.now() - began, payload };
console.log(JSON.stringify(started));
process.exit(0);
