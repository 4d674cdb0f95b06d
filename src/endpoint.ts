/**
 * Where a server is: URL to endpoint. An endpoint holds no credential, so it may be printed.
 *
 * @module
 */

/** How to speak TLS. */
export interface TlsOptions {
  /** Root certificates in PEM that are trusted besides the system's own. */
  caCerts?: string[];
  /** The client certificate in PEM; needs `key`. */
  cert?: string;
  /** The private key of the client certificate in PEM; needs `cert`. */
  key?: string;
  /** The name that the server's certificate must carry. @default {the host that is dialled} */
  serverName?: string;
}

/** Where a server listens. Holds no credential. */
export interface Endpoint {
  /** Host name or address. Not used where `path` is set. @default {"localhost"} */
  readonly host: string;
  /** TCP port. Not used where `path` is set. @default {6379} */
  readonly port: number;
  /** Path of a unix socket, instead of host and port. */
  readonly path?: string | undefined;
  /** Speak TLS, with these options. */
  readonly tls?: TlsOptions | undefined;
}

/** `host:port`, `[v6]:port` or `unix:path`, for events and errors. */
export function endpointText(endpoint: Endpoint): string {
  if (endpoint.path !== undefined) return `unix:${endpoint.path}`;
  return endpoint.host.includes(":") ? `[${endpoint.host}]:${endpoint.port}` : `${endpoint.host}:${endpoint.port}`;
}

/** What a URL says: where the server is, and who we are there. */
export interface Target {
  /** Where the server is. */
  readonly endpoint: Endpoint;
  /** The user, percent-decoded. */
  readonly username?: string | undefined;
  /** The password, percent-decoded. */
  readonly password?: string | undefined;
  /** The database number of the path, or of the query `db`. */
  readonly database?: number | undefined;
}

/** What was found is not told: it may be a part of a password. */
const HINT = "percent-encode the /, ? and # of a password as %2F, %3F and %23";

const SCHEMES: Readonly<Record<string, "tcp" | "tls" | "unix">> = {
  "redis:": "tcp",
  "valkey:": "tcp",
  "rediss:": "tls",
  "valkeys:": "tls",
  "unix:": "unix",
};

/**
 * Reads `redis://`, `rediss://`, `valkey://`, `valkeys://` and `unix://` URLs: `redis://user:password@host:port/database`,
 * `unix:///path/to/socket?db=1`.
 *
 * @throws {TypeError} when it is not such a URL; the text never repeats the URL, which may hold a password
 */
export function parseUrl(input: string | URL): Target {
  const text = String(input);
  const scheme = /^([a-z][a-z0-9+.-]*:)\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) throw new TypeError('A URL must start with a scheme such as "redis://"');
  const form = Object.hasOwn(SCHEMES, scheme) ? SCHEMES[scheme] : undefined;
  if (form === undefined) {
    throw new TypeError(`The scheme of a URL must be one of ${Object.keys(SCHEMES).join(" ")}: ${scheme}`);
  }
  const url = parse(text);
  if (url.hash !== "") throw new TypeError('A URL must not have a fragment: percent-encode "#" in a password as %23');
  const user = decode(url.username, "user");
  const password = decode(url.password, "password");
  const target = {
    username: user === "" ? undefined : user,
    password: password === "" ? undefined : password,
  };
  for (const key of url.searchParams.keys()) {
    if (key !== "db") throw new TypeError(`A URL takes no parameter but "db": ${HINT}`);
  }
  const db = url.searchParams.get("db");
  if (form === "unix") {
    const path = decode(url.pathname, "path");
    if (url.host !== "" || path === "/" || path === "") {
      throw new TypeError("A unix URL must have an absolute path and no host, such as unix:///run/redis.sock");
    }
    return { ...target, endpoint: { host: "localhost", port: 6379, path }, database: database(db ?? "") };
  }
  const path = url.pathname.replace(/^\//, "");
  if (path !== "" && db !== null) throw new TypeError("A URL must name its database once: in its path or as db");
  const host = url.hostname === "" ? "localhost" : decode(url.hostname, "host").replace(/^\[(.*)\]$/, "$1");
  const port = url.port === "" ? 6379 : Number(url.port);
  return {
    ...target,
    endpoint: form === "tls" ? { host, port, tls: {} } : { host, port },
    database: database(path === "" ? db ?? "" : path),
  };
}

function parse(text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw new TypeError("Cannot read the URL: percent-encode the special characters of user and password");
  }
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new TypeError(`Cannot read the ${part} of the URL: its percent-encoding is broken`);
  }
}

function database(text: string): number | undefined {
  if (text === "") return undefined;
  if (!/^\d{1,9}$/.test(text)) throw new TypeError(`The database of a URL must be a number: ${HINT}`);
  return Number(text);
}
