/** Runs one file of tests per request: `worker` is made with a way to load each of them. */

import { place } from "./far_side.ts";
import { runTests } from "./registry.ts";

/** A Worker whose `GET /PATH` runs the tests of that file and answers with what became of them. */
export function workerOf(files: Record<string, () => Promise<unknown>>): object {
  return {
    async fetch(request: Request, env: { FAR: string }): Promise<Response> {
      place.url = env.FAR;
      const load = files[new URL(request.url).pathname.slice(1)];
      return load === undefined ? new Response(null, { status: 404 }) : Response.json(await runTests(load));
    },
  };
}
