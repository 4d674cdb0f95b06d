/**
 * Where the samples of a CPU profile lie, as Chrome's format has them, which all three runtimes write.
 *
 * @module
 */

/** The part of a `.cpuprofile` that is read here. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  /** The node that was on the processor, sample by sample. */
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

/** Where a sample may lie, besides in a room of `src/`. */
const COLLECTOR = "garbage collector";
const NATIVE = "native code, kernel";
const RUNTIME = "the runtime's JavaScript";
const CONSUMER = "the consumer";

/**
 * The share of each room in the last `lastMs` milliseconds of a profile, without the time in which nothing ran. `bundle`:
 * the program was one file, whose text this is.
 */
export function shares(profile: CpuProfile, lastMs: number, bundle?: string): Map<string, number> {
  const places = new Map(profile.nodes.map(({ id, callFrame }) => [id, placeOf(callFrame, bundle?.split("\n"))]));
  const micros = new Map<string, number>();
  let [sum, all] = [0, 0];
  for (let i = profile.samples.length - 1; i >= 0 && all < lastMs * 1e3; i--) {
    const took = profile.timeDeltas[i] ?? 0;
    all += took;
    const place = places.get(profile.samples[i]!);
    if (place === undefined) continue;
    sum += took;
    micros.set(place, (micros.get(place) ?? 0) + took);
  }
  return new Map([...micros].map(([place, took]) => [place, took / sum]));
}

type Frame = CpuProfile["nodes"][number]["callFrame"];

/** Undefined where nothing ran. */
function placeOf({ functionName, url, lineNumber }: Frame, bundle: readonly string[] | undefined): string | undefined {
  if (functionName === "(idle)") return undefined;
  if (functionName === "(garbage collector)") return COLLECTOR;
  if (url === "") return NATIVE;
  if (!url.startsWith("file:") && !url.startsWith("/")) return RUNTIME;
  const file = bundle === undefined ? url : fileAt(bundle, lineNumber);
  // The loop of a consumer is the module itself, whose code begins above all files.
  if (file === "") return CONSUMER;
  const found = /(?:^|\/)(?:(bench)|src\/(?:(\w+)\/)?[\w.]+$)/.exec(file);
  if (found === null) return RUNTIME;
  return found[1] === undefined ? found[2] ?? "layer 0" : CONSUMER;
}

/** esbuild writes the name of each file above what comes of it. */
function fileAt(bundle: readonly string[], line: number): string {
  for (let i = line; i >= 0; i--) {
    const name = /^\/\/ (\S+\.ts)$/.exec(bundle[i] ?? "")?.[1];
    if (name !== undefined) return name;
  }
  return "";
}
