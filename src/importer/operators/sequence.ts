/** Lists of tensors, as exporters write splits and stacks whose lengths they do not know. They are known here. */
import { InputError } from '../../errors.js';
import { Constant } from '../constant.js';
import type { Expr } from '../expr.js';
import type { Operator, OperatorContext } from '../operator.js';

function partsOf(c: OperatorContext, i: number): readonly Expr[] {
  const list = c.input(i);
  if (list.op !== 'sequence') throw new InputError(`input ${i} is no sequence`);
  return list.parts;
}

/** A place in a list of `length`, from its end where negative. */
function placeIn(c: OperatorContext, i: number, length: number): number {
  const [given] = c.integers(i);
  const at = given < 0 ? given + length : given;
  if (!Number.isInteger(at) || at < 0 || at >= length)
    throw new InputError(`position ${given} lies outside a sequence of ${length}`);
  return at;
}

const withoutAxis = (c: OperatorContext, x: Expr, axis: number): Expr =>
  c.b.reshape(
    x,
    x.shape.filter((_, at) => at !== axis),
  );

const splitToSequence: Operator = (c) => {
  const x = c.input(0);
  const axis = c.axis(c.int('axis', 0), x.shape.length);
  const length = x.shape[axis];
  const given = c.has(1) ? c.constant(1) : null;
  const size = given === null ? 1 : given.data[0];
  if (!(size >= 1)) throw new InputError(`parts of ${size} do not make up an axis of ${length}`);
  const sizes =
    given !== null && given.shape.length > 0
      ? c.integers(1)
      : Array.from({ length: Math.ceil(length / size) }, (_, i) => Math.min(size, length - i * size));
  if (sizes.reduce((sum, one) => sum + one, 0) !== length)
    throw new InputError(`parts of [${sizes.join(', ')}] do not make up an axis of ${length}`);
  let start = 0;
  const parts = sizes.map((one) => {
    const positions = Array.from({ length: one }, (_, i) => start + i);
    start += one;
    const part = c.b.take(
      x,
      x.shape.map((_, at) => (at === axis ? positions : null)),
    );
    return given === null && c.int('keepdims', 1) === 0 ? withoutAxis(c, part, axis) : part;
  });
  return c.b.sequence(parts);
};

const insert: Operator = (c) => {
  const parts = [...partsOf(c, 0)];
  parts.splice(
    c.has(2) && c.integers(2)[0] !== parts.length ? placeIn(c, 2, parts.length) : parts.length,
    0,
    c.input(1),
  );
  return c.b.sequence(parts);
};

const erase: Operator = (c) => {
  const parts = partsOf(c, 0);
  const at = c.has(1) ? placeIn(c, 1, parts.length) : parts.length - 1;
  return c.b.sequence(parts.filter((_, i) => i !== at));
};

const concatenated: Operator = (c) => {
  const parts = partsOf(c, 0);
  if (parts.length === 0) throw new InputError('an empty sequence cannot be concatenated');
  const rank = parts[0].shape.length;
  if (c.int('new_axis', 0) === 0) return c.b.concat(parts, c.axis(c.int('axis', 0), rank));
  const axis = c.axis(c.int('axis', 0), rank + 1);
  const stacked = parts.map((part) => c.b.reshape(part, [...part.shape.slice(0, axis), 1, ...part.shape.slice(axis)]));
  return c.b.concat(stacked, axis);
};

export const sequenceOperators: Readonly<Record<string, Operator>> = {
  SplitToSequence: splitToSequence,
  SequenceEmpty: (c) => c.b.sequence([]),
  SequenceConstruct: (c) => c.b.sequence(c.inputs.map((_, i) => c.input(i))),
  SequenceAt(c) {
    const parts = partsOf(c, 0);
    return parts[placeIn(c, 1, parts.length)];
  },
  SequenceInsert: insert,
  SequenceErase: erase,
  SequenceLength: (c) => c.b.constant(Constant.scalar(partsOf(c, 0).length, 'int')),
  ConcatFromSequence: concatenated,
};
