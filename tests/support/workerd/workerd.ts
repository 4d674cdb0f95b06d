/** Starts `workerd` with one Worker. */

import { resolve } from "node:path";

/** What to run. */
export interface WorkerdOptions {
  /** The bundle, relative to the project. */
  readonly bundle: string;
  /** Variables of the Worker. */
  readonly env: Readonly<Record<string, string>>;
  /** Give the Worker the modules of Node. @default {false} */
  readonly nodejs?: boolean;
  /** Classes of Durable Objects, each bound by its own name. @default {[]} */
  readonly objects?: readonly string[];
}

/** A Worker that answers; disposing it ends the process. */
export interface Workerd extends AsyncDisposable {
  readonly url: string;
  /** What the process has printed so far. */
  output(): string;
}

/** What Workers of this date do and do not have. */
const COMPATIBILITY_DATE = "2026-01-01";

/** Starts the `workerd` that is installed in the folder `project`; it trusts the CA of `tests/fixtures/tls`. */
export async function startWorkerd(project: string, options: WorkerdOptions): Promise<Workerd> {
  const ca = await Deno.readTextFile(new URL("../../fixtures/tls/ca.pem", import.meta.url));
  const file = await Deno.makeTempFile({ dir: project, suffix: ".capnp" });
  await Deno.writeTextFile(file, configuration(options, ca));
  const command = new Deno.Command(await binary(project), {
    args: ["serve", "--control-fd=1", file],
    cwd: project,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  const child = command.spawn();
  let output = "";
  let ended = false;
  const status = child.status.finally(() => ended = true);
  const reading = (async () => {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) output = (output + text).slice(-8_000);
  })();
  const stop = async () => {
    if (!ended) child.kill("SIGKILL");
    await status;
    await reading;
    await control.cancel();
  };
  const control = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "" } = await control.read();
  const port = /"port":(\d+)/.exec(value)?.[1];
  if (port === undefined) {
    await status;
    await stop();
    throw new Error(`Cannot start workerd: ${output}`);
  }
  return { url: `http://127.0.0.1:${port}`, output: () => output, [Symbol.asyncDispose]: stop };
}

/** The program itself: the command of the npm package would leave it running. */
async function binary(project: string): Promise<string> {
  const folder = resolve(project, "node_modules/@cloudflare");
  for await (const { name } of Deno.readDir(folder)) {
    if (name.startsWith("workerd-")) return resolve(folder, name, "bin/workerd");
  }
  throw new Error(`Cannot find workerd for this system: ${folder}`);
}

function configuration({ bundle, env, nodejs = false, objects = [] }: WorkerdOptions, ca: string): string {
  const text = JSON.stringify;
  const bindings = [
    ...Object.entries(env).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`),
    ...objects.map((name) => `(name = ${text(name)}, durableObjectNamespace = ${text(name)})`),
  ];
  const namespaces = objects.map((name) => `(className = ${text(name)}, uniqueKey = ${text(name)})`);
  return `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "internet", network = (allow = ["local"], tlsOptions = (trustedCertificates = [${text(ca)}]))),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [(name = "main.js", esModule = embed ${text(bundle)})],
  compatibilityDate = ${text(COMPATIBILITY_DATE)},
  compatibilityFlags = [${nodejs ? '"nodejs_compat"' : ""}],
  bindings = [${bindings.join(", ")}],
  durableObjectNamespaces = [${namespaces.join(", ")}],
  ${objects.length > 0 ? "durableObjectStorage = (inMemory = void)," : ""}
);
`;
}
