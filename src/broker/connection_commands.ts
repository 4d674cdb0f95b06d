/**
 * The commands of a connection itself: who it is, which dialect it speaks, who else is there.
 *
 * @module
 */

import { decodeName, encodeName } from "../name.ts";
import type { Reply } from "../resp/reply.ts";
import type { BrokerConnection } from "./broker.ts";
import type { Call, CommandRow } from "./commands.ts";
import { bulk, isSubscribed } from "./registry.ts";

const MASK = "***";
const DATABASES = 16;
const SYNTAX_ERROR = "ERR syntax error";
const WRONG_PASSWORD = "WRONGPASS invalid username-password pair or user is disabled.";
const NO_PASSWORD = "ERR AUTH <password> called without any password configured for the default user. " +
  "Are you sure your configuration is correct?";
const HELLO_WITHOUT_AUTH = "NOAUTH HELLO must be called with the client already authenticated, otherwise the " +
  "HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol " +
  "version at the same time";

const OK: Reply = { type: "simple-string", value: "OK" };
const NULL: Reply = { type: "null", value: null };

function hello({ broker, connection, args }: Call): void {
  const [version, ...options] = args.map(decodeName);
  if (version !== undefined && !isInteger(version)) {
    return connection.error("ERR Protocol version is not an integer or out of range");
  }
  if (version !== undefined && version !== "2" && version !== "3") {
    return connection.error("NOPROTO unsupported protocol version");
  }
  let name: string | undefined;
  let user = connection.user;
  for (let at = 0; at < options.length;) {
    const [option, first, second] = options.slice(at, at + 3);
    if (option!.toUpperCase() === "AUTH" && second !== undefined) {
      user = broker.authenticate(first!, second);
      if (user === undefined) return connection.error(WRONG_PASSWORD);
      at += 3;
    } else if (option!.toUpperCase() === "SETNAME" && first !== undefined) {
      if (!isPrintable(first)) return connection.error(invalidName("Client names"));
      name = first;
      at += 2;
    } else {
      return connection.error(`ERR Syntax error in HELLO option '${option}'`);
    }
  }
  if (user === undefined) return connection.error(HELLO_WITHOUT_AUTH);
  connection.user = user;
  connection.name = name ?? connection.name;
  if (version !== undefined) connection.protocol = version === "3" ? 3 : 2;
  connection.reply({
    type: "map",
    value: [
      [text("server"), text("redis")],
      [text("version"), text(broker.version)],
      [text("proto"), integer(connection.protocol)],
      [text("id"), integer(connection.id)],
      [text("mode"), text("standalone")],
      [text("role"), text("master")],
      [text("modules"), { type: "array", value: [] }],
    ],
  });
}

/** Two words after every AUTH are masked: a broken command may have the password where another word belongs. */
function maskHello(args: readonly string[]): string[] {
  const isAuth = (at: number) => args[at]?.toUpperCase() === "AUTH";
  return args.map((arg, at) => isAuth(at - 1) || isAuth(at - 2) ? MASK : arg);
}

function auth({ broker, connection, args }: Call): void {
  if (args.length > 2) return connection.error(SYNTAX_ERROR);
  const [first, second] = args.map(decodeName);
  if (second === undefined && !broker.hasPassword("default")) return connection.error(NO_PASSWORD);
  const user = second === undefined ? broker.authenticate("default", first!) : broker.authenticate(first!, second);
  if (user === undefined) return connection.error(WRONG_PASSWORD);
  connection.user = user;
  connection.reply(OK);
}

function ping({ connection, args }: Call): void {
  const [echo] = args;
  if (connection.protocol === 2 && isSubscribed(connection)) {
    connection.reply({ type: "array", value: [text("pong"), bulk(echo ?? new Uint8Array())] });
  } else {
    connection.reply(echo === undefined ? { type: "simple-string", value: "PONG" } : bulk(echo));
  }
}

function select({ connection, args }: Call): void {
  const index = decodeName(args[0]!);
  if (!isInteger(index)) return connection.error("ERR value is not an integer or out of range");
  if (Number(index) < 0 || Number(index) >= DATABASES) return connection.error("ERR DB index is out of range");
  connection.database = Number(index);
  connection.reply(OK);
}

function setName({ connection, args }: Call): void {
  const name = decodeName(args[0]!);
  if (!isPrintable(name)) return connection.error(invalidName("Client names"));
  connection.name = name;
  connection.reply(OK);
}

function setInfo({ connection, args }: Call): void {
  const [option, value] = args.map(decodeName);
  const key = option!.toLowerCase();
  if (key !== "lib-name" && key !== "lib-ver") return connection.error(`ERR Unrecognized option '${option}'`);
  if (!isPrintable(value!)) return connection.error(invalidName(key));
  connection.library[key] = value!;
  connection.reply(OK);
}

/** What CLIENT LIST and CLIENT KILL choose connections by. */
const FILTERS: ReadonlyMap<string, (connection: BrokerConnection, value: string) => boolean> = new Map([
  ["ID", ({ id }, value) => id === Number(value)],
  ["ADDR", ({ address }, value) => address === value],
  ["TYPE", (connection, value) => clientType(connection) === value.toLowerCase()],
]);
const CLIENT_TYPES: readonly string[] = ["normal", "master", "replica", "slave", "pubsub"];

function clientType(connection: BrokerConnection): string {
  return isSubscribed(connection) ? "pubsub" : "normal";
}

function list({ broker, connection, args }: Call): void {
  const [filter, ...values] = args.map(decodeName);
  const by = filter?.toUpperCase();
  const everybody = [...broker.connections.values()];
  if (by === undefined) return reportTo(connection, everybody);
  if (by === "TYPE" && values.length === 1) {
    const [type] = values;
    if (!CLIENT_TYPES.includes(type!.toLowerCase())) return connection.error(`ERR Unknown client type '${type}'`);
    return reportTo(connection, everybody.filter((other) => clientType(other) === type!.toLowerCase()));
  }
  if (by !== "ID" || values.length === 0) return connection.error(SYNTAX_ERROR);
  if (!values.every(isInteger)) return connection.error("ERR Invalid client ID");
  reportTo(connection, everybody.filter((other) => values.some((value) => Number(value) === other.id)));
}

function reportTo(connection: BrokerConnection, connections: readonly BrokerConnection[]): void {
  const lines = connections.map((one) =>
    Object.entries({
      id: one.id,
      addr: one.address,
      name: one.name,
      flags: isSubscribed(one) ? "P" : "N",
      db: one.database,
      sub: one.names.channel.size,
      psub: one.names.pattern.size,
      ssub: one.names.shard.size,
      cmd: one.lastCommand === "" ? "NULL" : one.lastCommand,
      user: one.user ?? "default",
      resp: one.protocol,
      ...one.library,
    }).map(([key, value]) => `${key}=${value}`).join(" ") + "\n"
  );
  connection.reply({ type: "verbatim-string", format: "txt", value: encodeName(lines.join("")) });
}

function kill({ broker, connection, args }: Call): void {
  const words = args.map(decodeName);
  const victims = new Set(broker.connections.values());
  if (words.length === 1) {
    const victim = [...victims].find((other) => other.address === words[0]);
    if (victim === undefined) return connection.error("ERR No such client");
    connection.reply(OK);
    return victim.end();
  }
  let mayKillItself = false;
  for (let at = 0; at < words.length; at += 2) {
    const option = words[at]!.toUpperCase();
    const value = words[at + 1];
    const filter = FILTERS.get(option);
    if (value === undefined) return connection.error(SYNTAX_ERROR);
    if (option === "SKIPME" && /^(yes|no)$/i.test(value)) mayKillItself = value.toLowerCase() === "no";
    else if (filter === undefined) return connection.error(SYNTAX_ERROR);
    else if (option === "ID" && !(isInteger(value) && Number(value) > 0)) {
      return connection.error("ERR client-id should be greater than 0");
    } else if (option === "TYPE" && !CLIENT_TYPES.includes(value.toLowerCase())) {
      return connection.error(`ERR Unknown client type '${value}'`);
    } else {
      for (const victim of victims) if (!filter(victim, value)) victims.delete(victim);
    }
  }
  if (!mayKillItself) victims.delete(connection);
  connection.reply(integer(victims.size));
  for (const victim of victims) victim.end();
}

/** What clients look for before they trust a server: that it has loaded its data, and who it is. */
function info({ broker, connection }: Call): void {
  const lines = [
    "# Server",
    `redis_version:${broker.version}`,
    "redis_mode:standalone",
    "# Clients",
    `connected_clients:${broker.connections.size}`,
    "# Persistence",
    "loading:0",
    "# Stats",
    `pubsub_channels:${broker.registry.size("channel")}`,
    `pubsub_patterns:${broker.registry.size("pattern")}`,
    `pubsubshard_channels:${broker.registry.size("shard")}`,
    "# Replication",
    "role:master",
    "",
  ];
  connection.reply({ type: "verbatim-string", format: "txt", value: encodeName(lines.join("\r\n")) });
}

function text(value: string): Reply {
  return bulk(encodeName(value));
}

function integer(value: number): Reply {
  return { type: "integer", value };
}

/** An integer that is exact as a number; longer ones are out of every range that is asked for here. */
function isInteger(value: string): boolean {
  return /^(0|-?[1-9]\d{0,14})$/.test(value);
}

function isPrintable(value: string): boolean {
  return /^[!-~]*$/.test(value);
}

function invalidName(what: string): string {
  return `ERR ${what} cannot contain spaces, newlines or special characters.`;
}

/** HELLO and its kin. */
export const CONNECTION_COMMANDS: readonly (readonly [string, CommandRow])[] = [
  ["HELLO", { words: [1, Infinity], flags: ["anonymous", "resp3"], mask: maskHello, run: hello }],
  ["AUTH", { words: [2, Infinity], flags: ["anonymous"], mask: (args) => args.map(() => MASK), run: auth }],
  ["PING", { words: [1, 2], flags: ["subscriber"], run: ping }],
  ["ECHO", { words: [2, 2], run: ({ connection, args }) => connection.reply(bulk(args[0]!)) }],
  ["SELECT", { words: [2, 2], run: select }],
  ["QUIT", {
    words: [1, Infinity],
    flags: ["anonymous", "subscriber"],
    run({ connection }) {
      connection.reply(OK);
      connection.end();
    },
  }],
  ["RESET", {
    words: [1, 1],
    flags: ["anonymous", "subscriber"],
    run({ connection }) {
      connection.reset();
      connection.reply({ type: "simple-string", value: "RESET" });
    },
  }],
  ["CLIENT|ID", { words: [2, 2], run: ({ connection }) => connection.reply(integer(connection.id)) }],
  ["CLIENT|GETNAME", {
    words: [2, 2],
    run: ({ connection }) => connection.reply(connection.name === "" ? NULL : text(connection.name)),
  }],
  ["CLIENT|SETNAME", { words: [3, 3], run: setName }],
  ["CLIENT|SETINFO", { words: [4, 4], run: setInfo }],
  ["CLIENT|INFO", { words: [2, 2], run: ({ connection }) => reportTo(connection, [connection]) }],
  ["CLIENT|LIST", { words: [2, Infinity], run: list }],
  ["CLIENT|KILL", { words: [3, Infinity], run: kill }],
  ["INFO", { words: [1, Infinity], run: info }],
  ["COMMAND", { words: [1, Infinity], run: ({ connection }) => connection.reply({ type: "array", value: [] }) }],
];
