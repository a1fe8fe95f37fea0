import path from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { filesBelow, isCheckout, linesOf, nameOf, typedSources } from './sources.js';

/**
 * How large a thing may get. Each rule has a list of what breaks it today. A new offender fails the test, and so does
 * an entry of the list that no longer breaks the rule: lists only shrink.
 */
const KNOWN = {
  lines: [] as string[],
  columns: [] as string[],
  functions: [] as string[],
  parameters: [] as string[],
  bags: [] as string[],
  circles: [] as string[],
  names: [] as string[],
};

function expectOffenders(found: string[], known: string[]): void {
  expect([...new Set(found)].sort()).toEqual([...known].sort());
}

describe.skipIf(!isCheckout)('sizes', () => {
  test('files: src/ 400 lines, native/ 650', () => {
    const limitOf = (file: string): number => (file.startsWith('src/') ? 400 : 650);
    const files = filesBelow('src', 'native').filter((file) => /\.(ts|c|h|mjs)$/.test(file));
    expect(files.length).toBeGreaterThan(100);
    expectOffenders(
      files.filter((file) => linesOf(file).length > limitOf(file)),
      KNOWN.lines,
    );
  });

  test('lines: 120 columns', () => {
    const files = filesBelow('src', 'test', 'tools', 'native', 'bin').filter((file) => /\.(ts|c|h|m?js)$/.test(file));
    const wide = files.filter((file) => linesOf(file).some((line) => [...line].length > 120));
    expectOffenders(wide, KNOWN.columns);
  });

  test('names of files: kebab-case', () => {
    const names = filesBelow('src', 'test', 'tools', 'bin').filter((file) => /\.(ts|m?js)$/.test(file));
    const kebab = /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|d))?\.(ts|m?js)$/;
    expectOffenders(
      names.filter((file) => !kebab.test(path.posix.basename(file))),
      KNOWN.names,
    );
  });
});

describe.skipIf(!isCheckout)('functions and files of src/', () => {
  const { sources, checker } = isCheckout ? typedSources() : ({} as ReturnType<typeof typedSources>);

  test('functions: 60 lines', () => {
    const long = functions(sources).filter(({ node, source }) => lineCount(node, source) > 60);
    expectOffenders(
      long.map(({ name }) => name),
      KNOWN.functions,
    );
  });

  // Every function, method, constructor and arrow function counts. src/api is the public API, where callers name
  // things.
  test('parameters: 5', () => {
    const many = functions(sources).filter(({ node, name }) => !isApi(name) && node.parameters.length > 5);
    expectOffenders(
      many.map(({ name }) => name),
      KNOWN.parameters,
    );
  });

  /*
   * A parameter object, or bag, is a parameter whose type is an object type of our own that exists to be handed over:
   * an interface or type alias whose name ends in Request, Options, Context, Settings, Input or Args, or an object type
   * written where the parameter is. Its fields are counted with those it inherits. Types that model something (a
   * program's op, a graph's node, the statistics of a value) may have as many fields as the thing has.
   */
  test('parameter objects: 8 fields', () => {
    const found = functions(sources).flatMap(({ node, name }) =>
      isApi(name) ? [] : node.parameters.flatMap((parameter) => largeBag(parameter, checker)),
    );
    expectOffenders(found, KNOWN.bags);
  });

  test('no circle between files, imports of types included', () => {
    expectOffenders(circles(importsOf(sources)), KNOWN.circles);
  });
});

interface FunctionFound {
  readonly node: ts.SignatureDeclaration;
  readonly source: ts.SourceFile;
  /** `src/folder/file.ts: name`, or the line where the function has no name. */
  readonly name: string;
}

/** Every function with a body. */
function functions(sources: readonly ts.SourceFile[]): FunctionFound[] {
  const found: FunctionFound[] = [];
  for (const source of sources) {
    const visit = (node: ts.Node): void => {
      if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
        found.push({ node, source, name: `${nameOf(source.fileName)}: ${functionName(node)}` });
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return found;
}

/** A function's own name, or that of the constant, property or call that it is given to. */
function functionName(node: ts.SignatureDeclaration): string {
  if (ts.isConstructorDeclaration(node)) return `${node.parent.name?.text ?? ''}.constructor`;
  if (node.name !== undefined) return node.name.getText();
  const { parent } = node;
  if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)) return parent.name.getText();
  if (ts.isCallExpression(parent)) return `function in ${parent.expression.getText().slice(-40)}`;
  return 'function';
}

function lineCount(node: ts.Node, source: ts.SourceFile): number {
  const line = (position: number): number => source.getLineAndCharacterOfPosition(position).line;
  return line(node.end) - line(node.getStart(source)) + 1;
}

function isApi(name: string): boolean {
  return name.startsWith('src/api/');
}

const BAG = /(Request|Options|Context|Settings|Input|Inputs|Args)$/;

/** The bag that a parameter is, as `file: name (fields)`, where it has more than 8 fields. */
function largeBag(parameter: ts.ParameterDeclaration, checker: ts.TypeChecker): string[] {
  if (parameter.type === undefined) return [];
  const written = parameter.type;
  const type = checker.getTypeFromTypeNode(written);
  const symbol = type.aliasSymbol ?? type.symbol;
  const declaration = symbol?.declarations?.[0];
  if (declaration === undefined) return [];
  const file = nameOf(declaration.getSourceFile().fileName);
  if (!file.startsWith('src/') || isApi(file)) return [];
  const isBag = ts.isTypeLiteralNode(written) || BAG.test(symbol.name);
  const fields = checker.getPropertiesOfType(type).length;
  if (!isBag || fields <= 8 || (type.flags & ts.TypeFlags.Object) === 0 || type.isClass()) return [];
  return [`${file}: ${symbol.name}`];
}

/** Which files of src/ every file imports or re-exports from. */
function importsOf(sources: readonly ts.SourceFile[]): Map<string, string[]> {
  const targets = (source: ts.SourceFile): string[] =>
    ts
      .preProcessFile(source.text, true, true)
      .importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
      .map(({ fileName }) => nameOf(path.resolve(path.dirname(source.fileName), fileName.replace(/\.js$/, '.ts'))));
  const known = new Set(sources.map(({ fileName }) => nameOf(fileName)));
  return new Map(
    sources.map((source) => [nameOf(source.fileName), targets(source).filter((target) => known.has(target))]),
  );
}

/** Every file that can reach itself. */
function circles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const reaches = (start: string): boolean => {
    const seen = new Set<string>();
    const waiting = [...(graph.get(start) ?? [])];
    for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
      if (file === start) return true;
      if (seen.has(file)) continue;
      seen.add(file);
      waiting.push(...(graph.get(file) ?? []));
    }
    return false;
  };
  return [...graph.keys()].filter(reaches);
}
