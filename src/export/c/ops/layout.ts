/** Ops that move elements. */
import { floorDivide } from '../../../kernels/dyadic.js';
import type { ConstantOp, GatherOp, PatchesOp, WindowsOp } from '../../../program/types.js';
import { zeroPoint } from '../../../program/value.js';
import { CTYPES, geometryFields, initializer, type COp } from './definition.js';

/** It is read where it lies. */
export const constant: COp<ConstantOp> = { kernels: () => [], call: () => '' };

export const patches: COp<PatchesOp> = {
  kernels: () => ['ivit_portable_patches'],
  struct: (op, { input: { height, width, channels } }) => ({
    type: 'ivit_geometry',
    fields: geometryFields({ ...op, size: [height, width] }, channels),
  }),
  call: (_op, c) => `ivit_portable_patches(${c.self}, r, r + n, ${c.whole(0)}, ${c.out});`,
};

export const windows: COp<WindowsOp> = {
  kernels: () => ['ivit_portable_windows'],
  struct: (op) => ({
    type: 'ivit_windows',
    fields: {
      map: initializer(geometryFields(op, floorDivide(op.cols, op.kernel[0] * op.kernel[1]))),
      fill: zeroPoint(op.out),
    },
  }),
  call: ({ out }, c) => `ivit_portable_windows(${c.self}, ${CTYPES[out.type]}, r, r + n, ${c.whole(0)}, ${c.out});`,
};

export const gather: COp<GatherOp> = {
  kernels: () => ['ivit_gather_rows'],
  struct: (op, context) => ({
    type: 'ivit_gather',
    fields: {
      ...{ cols: op.cols, piece: op.piece, fill: op.fill, type: CTYPES[op.out.type] },
      index: context.array('index', op.index),
    },
  }),
  call(_op, c) {
    const sources = c.operands.map(({ rows, cols }, i) => {
      const isBlock = c.isBlock(i);
      const [data, scale] = isBlock ? [c.x(i, cols), c.xScale(i)] : [c.whole(i), c.wholeScale(i)];
      return `{${data}, ${scale}, ${isBlock ? 'r' : 0}, ${rows * cols}}`;
    });
    return [
      `const ivit_source sources[] = {${sources.join(', ')}};`,
      `ivit_gather_rows(${c.self}, r, r + n, sources, ${c.out}, ${c.scale});`,
    ].join('\n');
  },
};
