/**
 * What a bundle would be without a word in it.
 *
 * @module
 */

import { transform } from "esbuild";
import ts from "typescript";

/**
 * The same code with a digit in the place of every string and pattern, and with names of a letter or two for every
 * property. It does not run: it is the least that any wording and naming could come to.
 */
export async function wordless(code: string): Promise<string> {
  const { factory } = ts;
  const file = ts.createSourceFile("bundle.js", code, ts.ScriptTarget.ESNext);
  const { transformed } = ts.transform(file, [(context) => (root) => {
    const visit = (node: ts.Node): ts.Node => {
      if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node;
      if (ts.isStringLiteralLike(node) || ts.isRegularExpressionLiteral(node)) return factory.createNumericLiteral(0);
      if (ts.isTemplateExpression(node)) {
        return factory.createArrayLiteralExpression(
          node.templateSpans.map(({ expression }) => visit(expression) as ts.Expression),
        );
      }
      return ts.visitEachChild(node, visit, context);
    };
    return ts.visitEachChild(root, visit, context);
  }]);
  const printed = ts.createPrinter().printFile(transformed[0]!);
  const { code: mangled } = await transform(printed, {
    minify: true,
    mangleProps: /./,
    format: "esm",
    target: "esnext",
  });
  return mangled;
}
