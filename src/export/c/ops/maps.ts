/** Ops on feature maps, which read rows of their operand that lie about. */
import type { DepthwiseOp, GroupNormOp, MaxPoolOp, MixRowsOp } from '../../../program/types.js';
import { CTYPES, geometryFields, initializer, outputOf, type COp } from './definition.js';

export const depthwise: COp<DepthwiseOp> = {
  kernels: () => ['ivit_portable_depthwise'],
  struct: (op, context) => ({
    type: 'ivit_depthwise',
    fields: {
      map: initializer(geometryFields(op, op.cols)),
      weight: context.array('weight', op.weight),
      out: outputOf(op, context, op.offset),
    },
  }),
  scratch: ({ cols }) => 4 * cols,
  call: (_op, c) => `ivit_portable_depthwise(${c.self}, r, r + n, ${c.whole(0)}, ${c.out}, ${c.scale}, ${c.scratch});`,
};

export const maxPool: COp<MaxPoolOp> = {
  kernels: () => ['ivit_portable_max_pool'],
  struct: (op) => ({ type: 'ivit_geometry', fields: geometryFields(op, op.cols) }),
  call: ({ out }, c) => `ivit_portable_max_pool(${c.self}, ${CTYPES[out.type]}, r, r + n, ${c.whole(0)}, ${c.out});`,
};

/** Bytes of a channel's sum, which is kept beside the row: native/portable_maps.c. */
const SUM_BYTES = 8;

export const mixRows: COp<MixRowsOp> = {
  kernels: () => ['ivit_portable_mix_rows'],
  struct: (op, context) => ({
    type: 'ivit_mix_rows',
    fields: {
      ...{ cols: op.cols, taps: op.taps },
      index: context.array('index', op.index),
      weight: context.array('weight', op.weight),
      out: outputOf(op, context, op.offset),
    },
  }),
  scratch: ({ cols }) => (SUM_BYTES + 4) * cols,
  call: (_op, c) => `ivit_portable_mix_rows(${c.self}, r, r + n, ${c.whole(0)}, ${c.out}, ${c.scale}, ${c.scratch});`,
};

/** Bytes of a group's sums and factors: native/ivit.h. */
const SUMS_BYTES = 16;
const FACTOR_BYTES = 12;

export const groupNorm: COp<GroupNormOp> = {
  kernels: () => ['ivit_portable_group_norm', 'ivit_find_group_factors'],
  struct: (op, context) => ({
    type: 'ivit_group_norm',
    fields: {
      ...{ rows: op.rows, cols: op.cols, groups: op.groups, epsilon: `INT64_C(${op.epsilon})` },
      out: outputOf(op, context, op.offset),
    },
  }),
  scratch: ({ cols, groups }) => Math.max(4 * cols, SUMS_BYTES * groups),
  kept: ({ groups }) => FACTOR_BYTES * groups,
  prepare: (_op, c) => `ivit_find_group_factors(${c.self}, ${c.whole(0)}, ${c.kept}, ${c.scratch});`,
  call: ({ cols }, c) =>
    `ivit_portable_group_norm(${c.self}, ${c.kept}, n, ${c.x(0, cols)}, ${c.out}, ${c.scale}, ${c.scratch});`,
};
