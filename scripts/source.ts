/**
 * What the rules of `check_layers.ts` need to know about a source file, read from its syntax tree; so a comment or a
 * string never counts as code.
 *
 * @module
 */

import ts from "typescript";

/** A word and where it stands. */
export interface Word {
  text: string;
  line: number;
}

/** An import as it was resolved: a path inside the project, or a specifier such as `node:net`. */
export interface Import {
  target: string;
  line: number;
  typeOnly: boolean;
}

/** The facts about one file. */
export interface Source {
  /** Relative to the root of the project, with forward slashes. */
  path: string;
  lines: number;
  imports: readonly Import[];
  /** Every free name, `async`, `await`, and every member of a global object as `Math.random` or `globalThis.Deno`. */
  words: readonly Word[];
  /** The text of every string and template literal. */
  literals: readonly Word[];
  /** The line of the first statement that does something at run time other than importing and exporting; else 0. */
  runtimeLine: number;
}

const GLOBAL_OBJECTS = new Set(["Math", "globalThis", "self", "window"]);

/** Reads the facts about a TypeScript file. Its imports are resolved elsewhere and only passed on. */
export function readSource(path: string, text: string, imports: readonly Import[]): Source {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true, ts.ScriptKind.TS);
  const words: Word[] = [];
  const literals: Word[] = [];
  const lineOf = (node: ts.Node) => file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1;
  const visit = (node: ts.Node): void => {
    const word = wordOf(node);
    if (word !== undefined) words.push({ text: word, line: lineOf(node) });
    if (
      ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddle(node) || ts.isTemplateTail(node)
    ) {
      literals.push({ text: node.text, line: lineOf(node) });
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  const runtime = file.statements.find(doesSomething);
  return {
    path,
    lines: text.replace(/\n$/, "").split("\n").length,
    imports,
    words,
    literals,
    runtimeLine: runtime === undefined ? 0 : lineOf(runtime),
  };
}

function wordOf(node: ts.Node): string | undefined {
  if (node.kind === ts.SyntaxKind.AsyncKeyword) return "async";
  if (node.kind === ts.SyntaxKind.AwaitKeyword || ts.isAwaitExpression(node)) return "await";
  if (ts.isVariableDeclarationList(node) && isAwaitUsing(node)) return "await";
  if (ts.isPropertyAccessExpression(node) && isGlobalObject(node.expression)) {
    return `${node.expression.getText()}.${node.name.text}`;
  }
  if (ts.isElementAccessExpression(node) && isGlobalObject(node.expression)) {
    const key = node.argumentExpression;
    return ts.isStringLiteralLike(key) ? `${node.expression.getText()}.${key.text}` : undefined;
  }
  return ts.isIdentifier(node) && isFree(node) ? node.text : undefined;
}

function isAwaitUsing(node: ts.VariableDeclarationList): boolean {
  return (node.flags & ts.NodeFlags.AwaitUsing) === ts.NodeFlags.AwaitUsing;
}

function isGlobalObject(node: ts.Expression): boolean {
  return ts.isIdentifier(node) && GLOBAL_OBJECTS.has(node.text);
}

/** Whether an identifier refers to something in scope: `x.Date`, `{ Date: 1 }` and a method `process()` do not. */
function isFree(node: ts.Identifier): boolean {
  const parent = node.parent;
  if (ts.isPropertyAccessExpression(parent) || ts.isMetaProperty(parent)) return parent.name !== node;
  if (ts.isQualifiedName(parent)) return parent.right !== node;
  const named = ts.isPropertyAssignment(parent) || ts.isClassElement(parent) || ts.isTypeElement(parent) ||
    ts.isEnumMember(parent);
  return !(named && parent.name === node);
}

function doesSomething(statement: ts.Statement): boolean {
  if (ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement)) return false;
  if (ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement)) return false;
  const modifiers = ts.canHaveModifiers(statement) ? ts.getModifiers(statement) ?? [] : [];
  return !modifiers.some((modifier) => modifier.kind === ts.SyntaxKind.DeclareKeyword);
}
