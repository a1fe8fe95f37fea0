import * as v from 'valibot';
import { MAX_ELEMENTS, outputRange } from '../limits.js';
import { elements, zeroPoint, type OpBase, type ValueId } from '../value.js';
import { integer, type OpDefinition } from './definition.js';

/**
 * Exact layout: the sources, laid end to end, are cut into pieces of `piece` elements; piece i of the result is piece
 * index[i], or `fill` where that is −1. All sources have the type written.
 */
export interface GatherOp extends OpBase {
  readonly op: 'gather';
  readonly sources: readonly ValueId[];
  readonly piece: number;
  /** [rows·cols/piece]. */
  readonly index: Int32Array;
  readonly fill: number;
}

export const gather: OpDefinition<GatherOp> = {
  fields: { sources: v.array(integer), piece: integer, fill: integer },
  tensors: () => [{ field: 'index', dtype: 'I32', shape: null }],
  operands: (op) => op.sources,
  validate(op, check, { values }) {
    check.that(op.sources.length > 0, 'it has no sources');
    check.count('piece', op.piece, 1, MAX_ELEMENTS);
    const zero = zeroPoint(op.out);
    let total = 0;
    for (const id of op.sources) {
      const source = values[id];
      const count = elements(source);
      check.type('a source', source, op.out.type);
      check.that(zeroPoint(source.out) === zero, `a source has zero point ${zeroPoint(source.out)}, not ${zero}`);
      check.that(count % op.piece === 0, `a source of ${count} elements has no whole pieces of ${op.piece}`);
      // A dynamic row and its scale belong together.
      if (op.out.type === 'rows')
        check.that(source.cols === op.piece, `pieces of ${op.piece} are not whole dynamic rows of ${source.cols}`);
      total += count;
    }
    if (op.out.type === 'rows')
      check.that(op.cols === op.piece, `pieces of ${op.piece} are not whole dynamic rows of ${op.cols}`);
    check.that(
      op.index.length * op.piece === elements(op),
      `${op.index.length} pieces of ${op.piece} are not ${elements(op)} elements`,
    );
    for (const from of op.index) {
      check.that(from >= -1 && (from + 1) * op.piece <= total, `it reads piece ${from}, outside its sources`);
    }
    const { lo, hi } = op.out.type === 'u8' || op.out.type === 'rows' ? { lo: 0, hi: 255 } : outputRange(op.out);
    check.count('fill', op.fill, lo, hi);
  },
  bound: () => 0n,
};
