import { InputError } from '../../errors.js';
import type { ExprBuilder } from '../expr-builder.js';
import type { Expr } from '../expr.js';
import type { Operator } from '../operator.js';
import { Unsupported } from '../problems.js';

/** A tensor whose axes have letters. */
interface Term {
  readonly x: Expr;
  readonly axes: string;
}

/** Products of any number of tensors, summed over the axes that the result has not. */
export const einsum: Operator = (c) => {
  const equation = c.text('equation', '').replaceAll(' ', '');
  const operands = c.inputs.map((_, i) => c.input(i));
  const { terms, out } = parse(equation, operands);
  let product = terms[0];
  for (let i = 1; i < terms.length; i++) {
    const rest = terms.slice(i + 1).map(({ axes }) => axes);
    product = contract(c.b, product, terms[i], rest.join('') + out);
  }
  const { x, axes } = summed(c.b, product, out);
  if (axes.length !== out.length) throw new InputError(`the equation ${equation} asks for axes that no operand has`);
  return c.b.transpose(
    x,
    [...out].map((axis) => axes.indexOf(axis)),
  );
};

/** Letters that stand for the axes of an ellipsis. */
const ELLIPSIS = 'αβγδεζηθ';

function parse(equation: string, operands: readonly Expr[]): { terms: Term[]; out: string } {
  const [left, right] = equation.split('->');
  const texts = left.split(',');
  if (texts.length !== operands.length)
    throw new InputError(`the equation ${equation} has ${texts.length} terms for ${operands.length} inputs`);
  const ranks = texts.map((text, i) => operands[i].shape.length - text.replace('...', '').length);
  const widest = Math.max(0, ...ranks.filter((_, i) => texts[i].includes('...')));
  // An ellipsis of fewer axes has the last ones.
  const spelled = (text: string, rank: number): string => text.replace('...', ELLIPSIS.slice(widest - rank, widest));
  const terms = texts.map((text, i) => ({ x: operands[i], axes: spelled(text, ranks[i]) }));
  for (const { x, axes } of terms) {
    if (new Set(axes).size !== axes.length)
      throw new Unsupported(`the equation ${equation} takes a diagonal`, 'export the model with matrix products');
    if (axes.length !== x.shape.length)
      throw new InputError(`the equation ${equation} does not fit a tensor of ${x.shape.length} axes`);
  }
  return { terms, out: right === undefined ? implied(terms) : spelled(right, widest) };
}

/** Without an arrow the result has the axes that stand once, by the alphabet, the ellipsis first. */
function implied(terms: readonly Term[]): string {
  const all = terms.map(({ axes }) => axes).join('');
  const once = [...new Set(all)].filter((axis) => all.indexOf(axis) === all.lastIndexOf(axis)).sort();
  const dots = [...new Set(all)].filter((axis) => ELLIPSIS.includes(axis));
  return [...dots, ...once.filter((axis) => !dots.includes(axis))].join('');
}

/** Sums over the axes that are not among the kept ones. */
function summed(b: ExprBuilder, { x, axes }: Term, kept: string): Term {
  const gone = [...axes].flatMap((axis, i) => (kept.includes(axis) ? [] : [i]));
  if (gone.length === 0) return { x, axes };
  const shape = x.shape.filter((_, i) => !gone.includes(i));
  return { x: b.reshape(b.reduce('sum', x, gone), shape), axes: [...axes].filter((a) => kept.includes(a)).join('') };
}

/** The product of two terms, summed over the axes that nothing later needs. */
function contract(b: ExprBuilder, first: Term, second: Term, needed: string): Term {
  const left = summed(b, first, second.axes + needed);
  const right = summed(b, second, first.axes + needed);
  const dim = (axis: string): number =>
    Math.max(...[left, right].map(({ x, axes }) => (axes.includes(axis) ? x.shape[axes.indexOf(axis)] : 1)));
  const shared = [...left.axes].filter((axis) => right.axes.includes(axis));
  const batch = shared.filter((axis) => needed.includes(axis));
  const inner = shared.filter((axis) => !needed.includes(axis));
  const rows = [...left.axes].filter((axis) => !shared.includes(axis));
  const cols = [...right.axes].filter((axis) => !shared.includes(axis));
  const count = (axes: readonly string[]): number => axes.reduce((product, axis) => product * dim(axis), 1);
  const arranged = ({ x, axes }: Term, order: readonly string[], to: readonly number[]): Expr => {
    const moved = b.transpose(
      x,
      order.map((axis) => axes.indexOf(axis)),
    );
    return b.reshape(b.expand(moved, order.map(dim)), [...batch.map(dim), ...to]);
  };
  const product = b.matmul(
    arranged(left, [...batch, ...rows, ...inner], [count(rows), count(inner)]),
    arranged(right, [...batch, ...inner, ...cols], [count(inner), count(cols)]),
  );
  const order = [...batch, ...rows, ...cols];
  return { x: b.reshape(product, order.map(dim)), axes: order.join('') };
}
