/** Summands of scores that the image changes, as decomposed relative positions are (SAM, ViTDet, MViTv2). */
import { concatenate, sizeOf } from '../../graph/layout.js';
import { isOperation, isReshape, type Expr } from '../expr.js';
import type { Lowered, Lowerer } from '../lower.js';

/**
 * Scores from which such summands become channels of q and k. Fewer are added as they are, in more bits; so many would
 * take gigabytes.
 */
const MANY_SCORES = 2 ** 20;

/** A summand of the scores [groups, queries, keys] that is the same for many keys. */
export interface ScoreTerm {
  readonly expr: Expr;
  /** [groups, queries, …axes of the keys]: 1 where it is the same along one. */
  readonly shape: readonly number[];
  /** The axes of the keys. */
  readonly keyAxes: readonly number[];
  /** What was multiplied to the scores after it was added. */
  readonly scale: number;
}

/** The shape of scores. */
export interface ScoreShape {
  readonly groups: number;
  readonly queries: number;
  readonly keys: number;
}

/**
 * The summands that an expression adds to scores: each has all groups and queries, and is broadcast along some axes of
 * the keys. Null where it is something else.
 *
 * @param shape of the scores where `expr` is added
 */
export function scoreTerms(expr: Expr, shape: readonly number[], of: ScoreShape, scale: number): ScoreTerm[] | null {
  if (of.groups * of.queries * of.keys < MANY_SCORES) return null;
  const isWhole = sizeOf(expr.shape) === of.groups * of.queries * of.keys;
  if (!isWhole) return termOf(expr, shape, of, scale);
  if (expr.op === 'view' && isReshape(expr)) return scoreTerms(expr.sources[0], expr.sources[0].shape, of, scale);
  if (!isOperation(expr, 'add')) return null;
  const found = expr.inputs.map((input) => scoreTerms(input, expr.shape, of, scale));
  return found.some((terms) => terms === null) ? null : found.flatMap((terms) => terms!);
}

function termOf(expr: Expr, shape: readonly number[], of: ScoreShape, scale: number): ScoreTerm[] | null {
  let first = shape.length;
  for (let keys = 1; keys < of.keys && first > 0;) keys *= shape[--first];
  const keyAxes = shape.slice(first);
  const padded = [...new Array<number>(shape.length - expr.shape.length).fill(1), ...expr.shape];
  const isOfAllQueries = sizeOf(padded.slice(0, first)) === of.groups * of.queries;
  if (sizeOf(keyAxes) !== of.keys || !isOfAllQueries) return null;
  return [{ expr, shape: [of.groups, of.queries, ...padded.slice(first)], keyAxes, scale }];
}

/**
 * q and k with channels for each summand: q·kᵀ, times the scale, is then the scores with all of them. A summand is q's
 * channel at the keys where k's is not 0.
 *
 * @param q [...leading, queries, dim]
 * @param k [...leading, keys, dim]
 * @param scale of the product
 */
export function withTerms(
  { q, k }: { readonly q: Lowered; readonly k: Lowered },
  terms: readonly ScoreTerm[],
  scale: number,
  lowerer: Lowerer,
): { q: Lowered; k: Lowered } {
  const leading = q.shape.slice(0, -2);
  const [queries, keys] = [q.shape.at(-2)!, k.shape.at(-2)!];
  const channels = terms.map((term) => {
    const width = sizeOf(term.shape.slice(2));
    const places = {
      op: 'constant' as const,
      rows: keys,
      cols: width,
      value: placesOf(term, width, term.scale / scale),
    };
    return {
      q: lowerer.reshaped(lowerer.lower(term.expr), [...leading, queries, width]),
      k: lowerer.broadcast(lowerer.emit({ ...term.expr, tensor: '' }, places, [], [keys, width]), [
        ...leading,
        keys,
        width,
      ]),
    };
  });
  const beside = (tensors: readonly Lowered[]): Lowered => {
    const shapes = tensors.map(({ shape }) => shape);
    const width = shapes.reduce((sum, shape) => sum + shape.at(-1)!, 0);
    return lowerer.joined(tensors, concatenate(shapes, leading.length + 1), [...shapes[0].slice(0, -1), width]);
  };
  return { q: beside([q, ...channels.map((c) => c.q)]), k: beside([k, ...channels.map((c) => c.k)]) };
}

/** [keys, width]: `factor` at the channel that each key reads of a summand, else 0. */
function placesOf({ shape, keyAxes }: ScoreTerm, width: number, factor: number): Float32Array {
  const keys = sizeOf(keyAxes);
  const places = new Float32Array(keys * width);
  for (let key = 0; key < keys; key++) {
    let [rest, channel, stride] = [key, 0, 1];
    for (let axis = keyAxes.length - 1; axis >= 0; axis--) {
      const position = rest % keyAxes[axis];
      rest = Math.floor(rest / keyAxes[axis]);
      if (shape[axis + 2] === 1) continue;
      channel += position * stride;
      stride *= keyAxes[axis];
    }
    places[key * width + channel] = factor;
  }
  return places;
}
