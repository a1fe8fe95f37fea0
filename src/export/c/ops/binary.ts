/** Ops on the same rows of several values, or on rows that are repeated. */
import type { ValueSpec } from '../../../engine/values.js';
import { broadcastOf } from '../../../kernels/broadcast.js';
import type { AddOp, DivideOp, MultiplyOp, RotateOp } from '../../../program/types.js';
import { outputOf, type COp } from './definition.js';

export const add: COp<AddOp> = {
  kernels: () => ['ivit_portable_add'],
  aliases: [0, 1],
  call: ({ cols }, c) => `ivit_portable_add((size_t)n * ${cols}u, ${c.x(0, cols)}, ${c.x(1, cols)}, ${c.out});`,
};

/** @param kernel its name without what all have in front */
function binary<T extends MultiplyOp | DivideOp>(kernel: 'multiply' | 'divide'): COp<T> {
  const isGrouped = (op: T, b: ValueSpec): boolean => broadcastOf(op, b).group > 1;
  return {
    kernels: (op, [, b]) => [isGrouped(op, b) ? `ivit_${kernel}_groups` : `ivit_portable_${kernel}`],
    struct: (op, context) => ({
      type: 'ivit_binary',
      fields: {
        cols: op.cols,
        is_column: broadcastOf(op, context.operands[1]).isColumn ? 1 : 0,
        bits: op.op === 'divide' ? op.bits : 0,
        out: outputOf(op, context, op.offset),
      },
    }),
    scratch: ({ cols }) => 4 * cols,
    // A row is computed before it is stored, but several rows may read one row of b.
    aliases: [0],
    call(op, c) {
      const { group, isColumn } = broadcastOf(op, c.operands[1]);
      const [a, rest] = [c.x(0, op.cols), `${c.out}, ${c.scale}, ${c.scratch}`];
      if (group > 1) return `ivit_${kernel}_groups(${c.self}, ${group}, r, r + n, ${a}, ${c.whole(1)}, ${rest});`;
      const length = isColumn ? 1 : op.cols;
      return `ivit_portable_${kernel}(${c.self}, n, ${a}, ${c.x(1, length)}, ${length}, ${rest});`;
    },
  };
}

export const multiply = binary<MultiplyOp>('multiply');
export const divide = binary<DivideOp>('divide');

export const rotate: COp<RotateOp> = {
  kernels: () => ['ivit_rotate_rows'],
  struct: (op, context) => ({
    type: 'ivit_rotate',
    fields: {
      ...{ cols: op.cols, period: context.operands[1].cols, stride: context.operands[0].cols },
      partner: context.array('partner', op.partner),
      out: outputOf(op, context, op.offset),
    },
  }),
  scratch: ({ cols }) => 4 * cols,
  call({ column }, c) {
    const [x, cos] = c.operands;
    const from = column === 0 ? c.x(0, x.cols) : `(const int16_t *)${c.x(0, x.cols)} + ${column}`;
    // Tables that are made in this stage have a row for each of x.
    const tables = (i: number): string => (c.isBlock(i) ? c.x(i, cos.cols) : c.whole(i));
    const rows = c.isBlock(1) || c.isBlock(2) ? `n, 0, n` : `${cos.rows}, r, r + n`;
    const rest = `${c.out}, ${c.scale}, ${c.scratch}`;
    const [cosAt, sinAt] = c.isBlock(1) || c.isBlock(2) ? [c.x(1, cos.cols), c.x(2, cos.cols)] : [tables(1), tables(2)];
    return `ivit_rotate_rows(${c.self}, ${rows}, ${from}, ${cosAt}, ${sinAt}, ${rest});`;
  },
};
