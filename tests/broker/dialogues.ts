/**
 * What a server says to what, as data: the broker must say it, and so must a real server.
 *
 * @module
 */

/** One connection, or two that take turns. */
export interface Dialogue {
  name: string;
  /** What is sent, and all that comes back to the sender; `↵` stands for CR LF. A line that starts with `2:` is of the other connection. */
  lines: readonly (readonly [said: string, answer: string])[];
}

const REFUSED = (command: string) =>
  `-ERR Can't execute '${command}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context↵`;
const ARITY = (command: string) => `-ERR wrong number of arguments for '${command}' command↵`;

/** Seen on Redis 7.0.15, line by line. */
export const DIALOGUES: readonly Dialogue[] = [
  {
    name:
      "RESP2: each name has its acknowledgement; channels and patterns share a count, shard channels have their own",
    lines: [
      ["SUBSCRIBE a b a", "*3↵$9↵subscribe↵$1↵a↵:1↵*3↵$9↵subscribe↵$1↵b↵:2↵*3↵$9↵subscribe↵$1↵a↵:2↵"],
      ["PSUBSCRIBE a*", "*3↵$10↵psubscribe↵$2↵a*↵:3↵"],
      ["SSUBSCRIBE s", "*3↵$10↵ssubscribe↵$1↵s↵:1↵"],
      ["UNSUBSCRIBE x", "*3↵$11↵unsubscribe↵$1↵x↵:3↵"],
      ["UNSUBSCRIBE a b", "*3↵$11↵unsubscribe↵$1↵a↵:2↵*3↵$11↵unsubscribe↵$1↵b↵:1↵"],
      ["UNSUBSCRIBE", "*3↵$11↵unsubscribe↵$-1↵:1↵"],
      ["PUNSUBSCRIBE", "*3↵$12↵punsubscribe↵$2↵a*↵:0↵"],
      ["PUNSUBSCRIBE", "*3↵$12↵punsubscribe↵$-1↵:0↵"],
      ["SUNSUBSCRIBE", "*3↵$12↵sunsubscribe↵$1↵s↵:0↵"],
      ["SUNSUBSCRIBE", "*3↵$12↵sunsubscribe↵$-1↵:0↵"],
      ["PING", "+PONG↵"],
    ],
  },
  {
    name: "RESP3: the same as pushes, with the null of RESP3",
    lines: [
      ["HELLO 3", "*"],
      ["SUBSCRIBE a b a", ">3↵$9↵subscribe↵$1↵a↵:1↵>3↵$9↵subscribe↵$1↵b↵:2↵>3↵$9↵subscribe↵$1↵a↵:2↵"],
      ["PSUBSCRIBE a*", ">3↵$10↵psubscribe↵$2↵a*↵:3↵"],
      ["SSUBSCRIBE s", ">3↵$10↵ssubscribe↵$1↵s↵:1↵"],
      ["PUNSUBSCRIBE x y", ">3↵$12↵punsubscribe↵$1↵x↵:3↵>3↵$12↵punsubscribe↵$1↵y↵:3↵"],
      ["UNSUBSCRIBE a b", ">3↵$11↵unsubscribe↵$1↵a↵:2↵>3↵$11↵unsubscribe↵$1↵b↵:1↵"],
      ["UNSUBSCRIBE", ">3↵$11↵unsubscribe↵_↵:1↵"],
      ["SUNSUBSCRIBE", ">3↵$12↵sunsubscribe↵$1↵s↵:0↵"],
      ["SUNSUBSCRIBE", ">3↵$12↵sunsubscribe↵_↵:0↵"],
    ],
  },
  {
    name: "RESP2: a subscriber may only subscribe, unsubscribe, ping, reset and quit",
    lines: [
      ["SUBSCRIBE a", "*3↵$9↵subscribe↵$1↵a↵:1↵"],
      ["PING", "*2↵$4↵pong↵$0↵↵"],
      ["PING x", "*2↵$4↵pong↵$1↵x↵"],
      ["PING x y", ARITY("ping")],
      ["PUBLISH a x", REFUSED("publish")],
      ["HELLO 3", REFUSED("hello")],
      ["AUTH x", REFUSED("auth")],
      ["ECHO x", REFUSED("echo")],
      ["CLIENT ID", REFUSED("client|id")],
      ["PUBSUB CHANNELS", REFUSED("pubsub|channels")],
      ["CLIENT SETNAME", ARITY("client|setname")],
      ["SUBSCRIBE", ARITY("subscribe")],
      ["FOOBAR", "-ERR unknown command 'FOOBAR', with args beginning with: ↵"],
      ["RESET", "+RESET↵"],
      ["PING", "+PONG↵"],
    ],
  },
  {
    name: "RESP2: a subscriber of shard channels only is a subscriber too",
    lines: [
      ["SSUBSCRIBE s", "*3↵$10↵ssubscribe↵$1↵s↵:1↵"],
      ["PING", "*2↵$4↵pong↵$0↵↵"],
      ["ECHO x", REFUSED("echo")],
    ],
  },
  {
    name: "RESP3: a subscriber may send anything",
    lines: [
      ["HELLO 3", "*"],
      ["SUBSCRIBE a", ">3↵$9↵subscribe↵$1↵a↵:1↵"],
      ["PING", "+PONG↵"],
      ["PING x", "$1↵x↵"],
      ["ECHO x", "$1↵x↵"],
      ["PUBLISH other x", ":0↵"],
      ["PUBSUB NUMSUB a b", "*4↵$1↵a↵:1↵$1↵b↵:0↵"],
      ["HELLO 2", "*"],
      ["PING", "*2↵$4↵pong↵$0↵↵"],
      ["PUBLISH a x", REFUSED("publish")],
    ],
  },
  {
    name: "RESET goes back to RESP2 with no name and no subscription, and with no push",
    lines: [
      ["HELLO 3 SETNAME me", "*"],
      ["SELECT 3", "+OK↵"],
      ["CLIENT GETNAME", "$2↵me↵"],
      ["SUBSCRIBE a", ">3↵$9↵subscribe↵$1↵a↵:1↵"],
      ["PSUBSCRIBE a*", ">3↵$10↵psubscribe↵$2↵a*↵:2↵"],
      ["RESET", "+RESET↵"],
      ["CLIENT GETNAME", "$-1↵"],
      ["PUBLISH a x", ":0↵"],
    ],
  },
  {
    name: "A message reaches each subscription once, and PUBLISH counts them",
    lines: [
      ["SUBSCRIBE news", "*3↵$9↵subscribe↵$4↵news↵:1↵"],
      ["PSUBSCRIBE n*s", "*3↵$10↵psubscribe↵$3↵n*s↵:2↵"],
      ["SSUBSCRIBE news", "*3↵$10↵ssubscribe↵$4↵news↵:1↵"],
      ["2:PUBLISH news hello", ":2↵"],
      ["", "*3↵$7↵message↵$4↵news↵$5↵hello↵*4↵$8↵pmessage↵$3↵n*s↵$4↵news↵$5↵hello↵"],
      ["2:SPUBLISH news hello", ":1↵"],
      ["", "*3↵$8↵smessage↵$4↵news↵$5↵hello↵"],
      ["2:PUBLISH News hello", ":0↵"],
      ["2:PUBLISH nice-boss x", ":1↵"],
      ["", "*4↵$8↵pmessage↵$3↵n*s↵$9↵nice-boss↵$1↵x↵"],
      ["2:HELLO 3", "*"],
      ["2:SUBSCRIBE news", ">3↵$9↵subscribe↵$4↵news↵:1↵"],
      ["2:PUBSUB NUMSUB news", "*2↵$4↵news↵:2↵"],
      ["UNSUBSCRIBE news", "*3↵$11↵unsubscribe↵$4↵news↵:1↵"],
      ["2:PUBSUB NUMSUB news", "*2↵$4↵news↵:1↵"],
    ],
  },
  {
    name: "PUBSUB tells what is subscribed to",
    lines: [
      ["PUBSUB CHANNELS", "*0↵"],
      ["PUBSUB NUMPAT", ":0↵"],
      ["PUBSUB NUMSUB", "*0↵"],
      ["2:SUBSCRIBE abc", "*3↵$9↵subscribe↵$3↵abc↵:1↵"],
      ["2:SUBSCRIBE xyz", "*3↵$9↵subscribe↵$3↵xyz↵:2↵"],
      ["2:PSUBSCRIBE p*", "*3↵$10↵psubscribe↵$2↵p*↵:3↵"],
      ["2:SSUBSCRIBE shard", "*3↵$10↵ssubscribe↵$5↵shard↵:1↵"],
      ["PUBSUB CHANNELS a*", "*1↵$3↵abc↵"],
      ["PUBSUB CHANNELS q*", "*0↵"],
      ["PUBSUB NUMSUB abc p*", "*4↵$3↵abc↵:1↵$2↵p*↵:0↵"],
      ["PUBSUB NUMPAT", ":1↵"],
      ["PUBSUB SHARDCHANNELS", "*1↵$5↵shard↵"],
      ["PUBSUB SHARDNUMSUB shard", "*2↵$5↵shard↵:1↵"],
      ["PUBSUB", ARITY("pubsub")],
      ["PUBSUB NUMPAT x", ARITY("pubsub|numpat")],
      ["PUBSUB FOO", "-ERR unknown subcommand 'FOO'. Try PUBSUB HELP.↵"],
    ],
  },
  {
    name: "HELLO refuses what it does not understand, and changes nothing then",
    lines: [
      ["HELLO 4", "-NOPROTO unsupported protocol version↵"],
      ["HELLO 1", "-NOPROTO unsupported protocol version↵"],
      ["HELLO abc", "-ERR Protocol version is not an integer or out of range↵"],
      ["HELLO 99999999999999999999", "-ERR Protocol version is not an integer or out of range↵"],
      ["HELLO 3 SETNAME", "-ERR Syntax error in HELLO option 'SETNAME'↵"],
      ["HELLO 3 AUTH u", "-ERR Syntax error in HELLO option 'AUTH'↵"],
      ["HELLO 3 FOO", "-ERR Syntax error in HELLO option 'FOO'↵"],
      ["HELLO 3 AUTH u x", "-WRONGPASS invalid username-password pair or user is disabled.↵"],
      ["CLIENT GETNAME", "$-1↵"],
      ["HELLO 3 AUTH default x SETNAME me", "*"],
      ["CLIENT GETNAME", "$2↵me↵"],
    ],
  },
  {
    name: "AUTH without passwords",
    lines: [
      ["AUTH", ARITY("auth")],
      [
        "AUTH x",
        "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?↵",
      ],
      ["AUTH default x", "+OK↵"],
      ["AUTH u x", "-WRONGPASS invalid username-password pair or user is disabled.↵"],
      ["AUTH a b c", "-ERR syntax error↵"],
    ],
  },
  {
    name: "CLIENT names and chooses connections",
    lines: [
      ["CLIENT", ARITY("client")],
      ["CLIENT FOO", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP.↵"],
      ["CLIENT SETNAME me", "+OK↵"],
      ["CLIENT GETNAME", "$2↵me↵"],
      ["CLIENT SETNAME ", "+OK↵"],
      ["CLIENT GETNAME", "$-1↵"],
      ["CLIENT SETNAME é", "-ERR Client names cannot contain spaces, newlines or special characters.↵"],
      ["CLIENT ID x", ARITY("client|id")],
      ["CLIENT LIST TYPE pubsub", "$0↵↵"],
      ["CLIENT LIST TYPE foo", "-ERR Unknown client type 'foo'↵"],
      ["CLIENT LIST ID x", "-ERR Invalid client ID↵"],
      ["CLIENT LIST ID", "-ERR syntax error↵"],
      ["CLIENT LIST FOO", "-ERR syntax error↵"],
      ["CLIENT KILL", ARITY("client|kill")],
      ["CLIENT KILL TYPE pubsub", ":0↵"],
      ["CLIENT KILL TYPE foo", "-ERR Unknown client type 'foo'↵"],
      ["CLIENT KILL ID abc", "-ERR client-id should be greater than 0↵"],
      ["CLIENT KILL ID 0", "-ERR client-id should be greater than 0↵"],
      ["CLIENT KILL ID 999999", ":0↵"],
      ["CLIENT KILL ID 1 SKIPME", "-ERR syntax error↵"],
      ["CLIENT KILL ID 1 SKIPME maybe", "-ERR syntax error↵"],
      ["CLIENT KILL FOO bar", "-ERR syntax error↵"],
      ["CLIENT KILL 1.2.3.4:5", "-ERR No such client↵"],
    ],
  },
  {
    name: "Commands outside Pub/Sub, and those that do not exist",
    lines: [
      ["PING", "+PONG↵"],
      ["ping x", "$1↵x↵"],
      ["PING a b", ARITY("ping")],
      ["ECHO x", "$1↵x↵"],
      ["ECHO", ARITY("echo")],
      ["SELECT 15", "+OK↵"],
      ["SELECT 16", "-ERR DB index is out of range↵"],
      ["SELECT -1", "-ERR DB index is out of range↵"],
      ["SELECT x", "-ERR value is not an integer or out of range↵"],
      ["PUBLISH a", ARITY("publish")],
      ["FOO a b", "-ERR unknown command 'FOO', with args beginning with: 'a' 'b' ↵"],
      [
        `foo ${"x".repeat(200)} y`,
        `-ERR unknown command 'foo', with args beginning with: '${"x".repeat(128)}' ↵`,
      ],
      ["QUIT", "+OK↵"],
    ],
  },
];
