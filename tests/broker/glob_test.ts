import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { matchGlob } from "../../src/broker/glob.ts";
import { test } from "../support/test.ts";

const bytes = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

/** Pattern, what it matches, what it does not: checked against Redis 7.0.15 with PUBSUB CHANNELS. */
const TABLE: [pattern: string, matching: string[], others: string[]][] = [
  ["", [""], ["a"]],
  ["*", ["a", "abc", "*"], [""]],
  ["**", ["a", "abc"], [""]],
  ["abc", ["abc"], ["ab", "abcd", "Abc", ""]],
  ["a*", ["a", "ab", "a*"], ["ba", ""]],
  ["*a", ["a", "ba", "aa"], ["ab"]],
  ["a*c", ["ac", "abc", "acc", "abcbc"], ["a", "c", "acb"]],
  ["*a*b*", ["ab", "xaxbx"], ["ba", "a", "b"]],
  ["?", ["a", "*", "\xff"], ["", "ab"]],
  ["h?llo", ["hello", "h?llo"], ["hllo", "heello"]],
  ["*?", ["a", "ab"], [""]],
  ["h[ae]llo", ["hello", "hallo"], ["hillo", "h[ae]llo"]],
  ["h[^e]llo", ["hallo", "h^llo"], ["hello", "hllo"]],
  ["h[a-b]llo", ["hallo", "hbllo"], ["hcllo", "h-llo"]],
  ["[z-a]", ["a", "m", "z"], ["-", "A"]],
  ["[a-cx-z]", ["a", "c", "x", "z"], ["d", "-", "w"]],
  ["[a-]", ["]", "^", "a"], ["-", "b", "a]"]],
  ["[-a]", ["-", "a"], ["]", "b"]],
  ["[ab", ["a", "b"], ["c", "[ab", "ab"]],
  ["[", [], ["[", "a", ""]],
  ["[^", ["a", "^", "["], ["", "ab"]],
  ["[]", [], ["]", "[", "a"]],
  ["[^]", ["a", "]", "^"], ["", "ab"]],
  ["[]a]", [], ["a", "]", "]a]"]],
  ["[a^]", ["a", "^"], ["b"]],
  ["[\\]]", ["]"], ["\\", "a"]],
  ["[\\^a]", ["^", "a"], ["\\", "b"]],
  ["[a\\-z]", ["a", "-", "z"], ["b", "\\"]],
  ["[\\", ["\\"], ["[", "a"]],
  ["[a-\\]]", ["a]", "\\]", "`]"], ["a", "]"]],
  ["\\*", ["*"], ["a", "\\*", "\\"]],
  ["\\a", ["a"], ["\\a", "\\"]],
  ["a\\", ["a\\"], ["a", "a\\\\"]],
  ["\\\\", ["\\"], ["\\\\"]],
  ["a\\?", ["a?"], ["ab", "a\\"]],
  ["\x00?", ["\x00a"], ["\x00", "aa"]],
  ["[\x80-\xff]", ["\x80", "\xff"], ["\x7f", "a"]],
];

for (const [pattern, matching, others] of TABLE) {
  test(`The pattern ${JSON.stringify(pattern)} matches what Redis says`, () => {
    for (const text of matching) assertEquals(matchGlob(bytes(pattern), bytes(text)), true, `should match ${text}`);
    for (const text of others) assertEquals(matchGlob(bytes(pattern), bytes(text)), false, `should not match ${text}`);
  });
}

/** Redis's own function, word for word and exponential. */
function oracle(pattern: string, text: string): boolean {
  let [p, s] = [0, 0];
  while (p < pattern.length && s < text.length) {
    switch (pattern[p]) {
      case "*":
        while (pattern[p + 1] === "*") p++;
        if (p + 1 === pattern.length) return true;
        for (; s < text.length; s++) if (oracle(pattern.slice(p + 1), text.slice(s))) return true;
        return false;
      case "?":
        s++;
        break;
      case "[": {
        p++;
        const not = pattern[p] === "^";
        if (not) p++;
        let match = false;
        for (;; p++) {
          if (pattern.length - p >= 2 && pattern[p] === "\\") {
            p++;
            if (pattern[p] === text[s]) match = true;
          } else if (pattern[p] === "]") {
            break;
          } else if (p >= pattern.length) {
            p--;
            break;
          } else if (pattern.length - p >= 3 && pattern[p + 1] === "-") {
            const [low, high] = [pattern[p]!, pattern[p + 2]!].sort();
            if (text[s]! >= low! && text[s]! <= high!) match = true;
            p += 2;
          } else if (pattern[p] === text[s]) {
            match = true;
          }
        }
        if (match === not) return false;
        s++;
        break;
      }
      default:
        if (pattern[p] === "\\" && pattern.length - p >= 2) p++;
        if (pattern[p] !== text[s]) return false;
        s++;
    }
    p++;
    if (s === text.length) {
      while (pattern[p] === "*") p++;
      break;
    }
  }
  return p >= pattern.length && s === text.length;
}

test("A match is what Redis's recursive function finds, for any pattern and text", () => {
  const over = (alphabet: string, maxLength: number) =>
    fc.array(fc.constantFrom(...alphabet), { maxLength }).map((characters) => characters.join(""));
  fc.assert(
    fc.property(over("ab*?[]^-\\", 8), over("ab]^-\\", 6), (pattern, text) => {
      assertEquals(matchGlob(bytes(pattern), bytes(text)), oracle(pattern, text));
    }),
    { numRuns: 20_000 },
  );
});

test("A hostile pattern costs at most its length times that of the text", () => {
  const reads = { count: 0 };
  const text = new Proxy(bytes("a".repeat(200)), {
    get(target, key) {
      if (typeof key === "string" && /^\d+$/.test(key)) reads.count += 1;
      return Reflect.get(target, key);
    },
  });
  const pattern = bytes("a*".repeat(100) + "b");
  assertEquals(matchGlob(pattern, text), false);
  assertEquals(reads.count <= pattern.length * 200, true, `${reads.count} reads`);
});
