/** Elements put into a tensor, or taken out of it, at constant places. */
import { InputError } from '../../errors.js';
import { stridesOf } from '../../graph/layout.js';
import { type Constant, sizeOf } from '../constant.js';
import type { Expr } from '../expr.js';
import type { Operator, OperatorContext } from '../operator.js';

/** The place along an axis that an index means; negative ones count from its end. */
export function placeOf(index: number, length: number): number {
  const at = index < 0 ? index + length : index;
  if (!(at >= 0 && at < length)) throw new InputError(`index ${index} lies outside an axis of ${length}`);
  return at;
}

/** Of each row of indices [..., depth]: which piece of a tensor it means, the axes from `depth` on being one piece. */
function piecesOf({ data, shape }: Constant, of: readonly number[]): Int32Array {
  const depth = shape.at(-1)!;
  if (!(depth <= of.length)) throw new InputError(`indices of ${depth} axes for a tensor of ${of.length}`);
  const piece = sizeOf(of.slice(depth));
  const strides = stridesOf(of);
  return Int32Array.from({ length: depth === 0 ? sizeOf(shape.slice(0, -1)) : data.length / depth }, (_, i) => {
    let at = 0;
    for (let k = 0; k < depth; k++) at += (placeOf(data[i * depth + k], of[k]) * strides[k]) / piece;
    return at;
  });
}

const gatherND: Operator = (c) => {
  const x = c.input(0);
  const indices = c.constant(1);
  const lead = c.int('batch_dims', 0);
  const [batch, of] = [x.shape.slice(0, lead), x.shape.slice(lead)];
  const depth = indices.shape.at(-1)!;
  const pieces = piecesOf(indices, of);
  const perBatch = pieces.length / sizeOf(batch);
  const step = sizeOf(of.slice(0, depth));
  const index = pieces.map((at, i) => Math.floor(i / perBatch) * step + at);
  return c.b.view([x], { piece: sizeOf(of.slice(depth)), index }, [...indices.shape.slice(0, -1), ...of.slice(depth)]);
};

/** Where each update goes: `places` count pieces of x. */
interface Scatter {
  readonly x: Expr;
  readonly updates: Expr;
  readonly piece: number;
  readonly places: Int32Array;
}

function scattered(c: OperatorContext, { x, updates, piece, places }: Scatter): Expr {
  const count = sizeOf(x.shape) / piece;
  const own = Int32Array.from({ length: count }, (_, i) => i);
  const reduction = c.text('reduction', 'none');
  if (reduction === 'none') {
    places.forEach((place, i) => (own[place] = count + i));
    return c.b.view([x, updates], { piece, index: own }, x.shape);
  }
  // No two updates of one round go to the same place. The rest takes nothing (−1), or itself.
  const rounds: Int32Array[] = [];
  const before = new Map<number, number>();
  places.forEach((place, i) => {
    const round = before.get(place) ?? 0;
    before.set(place, round + 1);
    rounds[round] ??= reduction === 'add' ? new Int32Array(count).fill(-1) : Int32Array.from(own);
    rounds[round][place] = count + i;
  });
  const rest = reduction === 'mul' ? c.b.expand(c.b.scalar(1), x.shape) : x;
  return rounds.reduce((result, index) => {
    const moved = c.b.view([rest, updates], { piece, index }, x.shape);
    switch (reduction) {
      case 'add':
        return c.b.add(result, moved);
      case 'mul':
        return c.b.mul(result, moved);
      case 'max':
      case 'min':
        return c.b.extremum(reduction, result, moved);
      default:
        throw new InputError(`the reduction ${reduction} does not exist`);
    }
  }, x);
}

const scatterND: Operator = (c) => {
  const [x, indices, updates] = [c.input(0), c.constant(1), c.input(2)];
  const piece = sizeOf(x.shape.slice(indices.shape.at(-1)));
  return scattered(c, { x, updates, piece, places: piecesOf(indices, x.shape) });
};

/** Places of the elements that indices along one axis mean. */
function elementsOf(c: OperatorContext, of: readonly number[]): Int32Array {
  const indices = c.constant(1);
  const axis = c.axis(c.int('axis', 0), of.length);
  const [strides, at] = [stridesOf(of), stridesOf(indices.shape)];
  return Int32Array.from(indices.data, (index, i) => {
    let from = placeOf(index, of[axis]) * strides[axis];
    for (let k = 0; k < of.length; k++) if (k !== axis) from += (Math.floor(i / at[k]) % indices.shape[k]) * strides[k];
    return from;
  });
}

const scatterElements: Operator = (c) => {
  const x = c.input(0);
  return scattered(c, { x, updates: c.input(2), piece: 1, places: elementsOf(c, x.shape) });
};

const gatherElements: Operator = (c) => {
  const x = c.input(0);
  return c.b.view([x], { piece: 1, index: elementsOf(c, x.shape) }, c.constant(1).shape);
};

/** The parts along an axis, or of all elements, that a condition chooses. */
const compress: Operator = (c) => {
  const given = c.input(0);
  const x = c.node.attributes.has('axis') ? given : c.b.reshape(given, [sizeOf(given.shape)]);
  const axis = c.axis(c.int('axis', 0), x.shape.length);
  const chosen = c.integers(1).flatMap((yes, i) => (yes === 0 ? [] : [placeOf(i, x.shape[axis])]));
  return c.b.take(
    x,
    x.shape.map((_, at) => (at === axis ? chosen : null)),
  );
};

export const scatterOperators: Readonly<Record<string, Operator>> = {
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterElements: scatterElements,
  Scatter: scatterElements,
  ScatterND: scatterND,
  Compress: compress,
};
