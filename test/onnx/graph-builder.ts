import type { NodeSpec } from './build.js';

const NODE = /^([\w., ]+?) *= *(?:([\w.]+)\.)?(\w+)\((.*)\)$/;
const ATTRIBUTE = /(\w+)=(\[[^\]]*\]|"[^"]*"|[^,\s]+)/g;

/**
 * The nodes of a test model, one a line: `outputs = Operator(inputs; attributes)`.
 *
 *     nodesOf(`
 *       t = Transpose(k; perm=[0, 1, 3, 2])
 *       s = MatMul(q, t)
 *       y = com.microsoft.QuickGelu(s; alpha=1.702f)
 *     `)
 *
 * An operator may have its domain before it. An input that is left out is empty: `Clip(x, , six)`. Attributes are
 * integers, strings in double quotes, floats, which end in f, or lists of integers or of floats.
 */
export function nodesOf(text: string): NodeSpec[] {
  const lines = text.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '').map(nodeOf);
}

function nodeOf(line: string): NodeSpec {
  const parts = NODE.exec(line);
  if (parts === null) throw new SyntaxError(`no node: ${line}`);
  const [, outputs, domain, op, operands] = parts as unknown as [string, string, string | undefined, string, string];
  const [inputs, attributes] = operands.split(/ *; */);
  return {
    op,
    ...(domain !== undefined && { domain }),
    in: inputs === '' ? [] : namesOf(inputs),
    out: namesOf(outputs),
    ...(attributes !== undefined && { attributes: attributesOf(attributes, line) }),
  };
}

const namesOf = (list: string): string[] => list.split(',').map((name) => name.trim());

function attributesOf(text: string, line: string): NonNullable<NodeSpec['attributes']> {
  const found = [...text.matchAll(ATTRIBUTE)];
  if (found.length === 0) throw new SyntaxError(`no attributes after ; in ${line}`);
  return Object.fromEntries(found.map(([, name, value]) => [name, valueOf(value)]));
}

function valueOf(value: string): number | string | number[] | { float: number } | { floats: number[] } {
  if (/^\[.*f\]$/.test(value)) return { floats: JSON.parse(value.replaceAll('f', '')) as number[] };
  if (/^-?[\d.]+(e-?\d+)?f$/.test(value)) return { float: Number(value.slice(0, -1)) };
  return JSON.parse(value) as number | string | number[];
}
