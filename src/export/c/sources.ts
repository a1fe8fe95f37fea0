/**
 * The kernels of an export: what it needs of the C sources in native/, and only that, as one header of static
 * functions. So there is one source of every kernel, and two exports in one program do not clash.
 */
import { readFileSync } from 'node:fs';
import { packageFile } from '../../package-root.js';

/** Where kernels are looked for; native/export/export.h says what they must keep to. */
const SOURCES = [
  'generated.h',
  'ivit.h',
  'arith.h',
  'map_rows.h',
  'portable.c',
  'portable_maps.c',
  'portable_layout.c',
  'export/export.h',
  'export/dot.c',
  'export/linear.c',
  'export/attention.c',
  'export/rows.c',
];

/** A definition at the margin of a source, or forms of some to choose from, with the comment above. */
interface Chunk {
  /** What it defines: functions, a type, enumerators, a macro. */
  readonly names: readonly string[];
  readonly text: string;
  readonly isFunction: boolean;
}

/**
 * The definitions that some names lead to, each after what it uses.
 *
 * @param roots names of functions and types
 */
export function sliceSources(roots: readonly string[]): string {
  const chunks = SOURCES.flatMap((name) => chunksOf(readFileSync(packageFile('native', name), 'utf8')));
  const byName = new Map(chunks.flatMap((chunk) => chunk.names.map((name) => [name, chunk] as const)));
  const done = new Set<Chunk>();
  const parts: string[] = [];
  const add = (chunk: Chunk): void => {
    if (done.has(chunk)) return;
    done.add(chunk);
    for (const name of wordsOf(chunk.text)) {
      const used = byName.get(name);
      if (used !== undefined) add(used);
    }
    parts.push(chunk.isFunction ? asStatic(chunk.text) : chunk.text);
  };
  for (const root of roots) {
    const chunk = byName.get(root);
    if (chunk === undefined) throw new Error(`No kernel is called ${root}`);
    add(chunk);
  }
  return parts.join('\n\n');
}

/** The identifiers of a chunk, without those of its comments. */
const wordsOf = (text: string): Set<string> =>
  new Set(text.replace(/\/\*[\s\S]*?\*\//g, '').match(/[A-Za-z_][A-Za-z0-9_]*/g));

function asStatic(text: string): string {
  const start = /^(?:\/\*[\s\S]*?\*\/\n)?/.exec(text)![0].length;
  const definition = text.slice(start);
  return definition.startsWith('static ') ? text : `${text.slice(0, start)}static ${definition}`;
}

/**
 * Takes a source apart. It relies on the formatter: what begins at the margin begins a definition, and a brace at the
 * margin ends it. Functions between `#if` and `#endif` are one chunk, with the headers that they include. Other
 * includes and conditions, and declarations of functions, are left out.
 */
function chunksOf(source: string): Chunk[] {
  const lines = source.split('\n');
  const chunks: Chunk[] = [];
  let comment: string[] = [];
  for (let i = 0; i < lines.length; i++) {
    if (lines[i] === '' || /^#(?!define|if )/.test(lines[i])) {
      comment = [];
      continue;
    }
    const end = lines[i].startsWith('/*') ? endOfComment(lines, i) : endOfDefinition(lines, i);
    const text = lines.slice(i, end + 1);
    i = end;
    if (text[0].startsWith('/*')) {
      comment = text;
      continue;
    }
    const names = namesOf(text.join('\n'));
    if (names.length > 0)
      chunks.push({ names, text: [...comment, ...text].join('\n'), isFunction: isFunction(text[0]) });
    comment = [];
  }
  return chunks;
}

function endOfComment(lines: readonly string[], from: number): number {
  let at = from;
  while (!lines[at].includes('*/')) at++;
  return at;
}

function endOfDefinition(lines: readonly string[], from: number): number {
  let at = from;
  if (lines[from].startsWith('#if ')) {
    for (let depth = 1; depth > 0;) depth += /^#if/.test(lines[++at]) ? 1 : /^#endif/.test(lines[at]) ? -1 : 0;
    return at;
  }
  if (lines[from].startsWith('#define')) {
    while (lines[at].endsWith('\\')) at++;
    return at;
  }
  // A declaration, or a definition in one line, ends in its line; others with a brace at the margin.
  while (!/^\}/.test(lines[at]) && !/[;}]$|^[A-Z_]+\(.*\)$/.test(lines[at].startsWith(' ') ? '' : lines[at])) at++;
  return at;
}

const isFunction = (line: string): boolean => /^[a-z]/.test(line) && !/^(typedef|enum|struct)\b/.test(line);

function namesOf(text: string): string[] {
  if (text.startsWith('#if ')) return [...text.matchAll(/^static .*?(\w+)\(/gm)].map(([, name]) => name);
  const macro = /^#define (\w+)/.exec(text);
  if (macro !== null) return macro[1].endsWith('_H') ? [] : [macro[1]];
  // A macro that defines a function.
  const made = /^[A-Z_]+\((\w+)/.exec(text);
  if (made !== null) return [made[1]];
  if (/^(typedef )?enum\b/.test(text))
    return [...text.matchAll(/\b(IVIT_\w+|[A-Z_]{3,}|ivit_\w+)\b/g)].map(([, name]) => name);
  // Of a structure, or of a function.
  if (text.startsWith('typedef')) return [/(\w+)(?:\([^()]*\))?;$/.exec(text)![1]];
  // Not a declaration.
  return /^[^;]*\)\s*\{/.test(text) ? [/(\w+)\(/.exec(text)![1]] : [];
}
