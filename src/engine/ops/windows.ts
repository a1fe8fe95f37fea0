import { cutWindows } from '../../kernels/windows.js';
import { zeroPoint } from '../../program/value.js';
import type { WindowsOp } from '../../program/types.js';
import { allocate } from '../values.js';
import type { EngineOp } from './definition.js';
import { GEOMETRY_WORDS, channelsOf, geometryWords, requestWindows } from './geometry.js';
import { countOf } from './words.js';

export const windows: EngineOp<WindowsOp> = {
  run(op, [x]) {
    const value = allocate(op);
    cutWindows(op, x.data, channelsOf(op.cols, op), zeroPoint(op.out), value.data);
    return value;
  },
  words: { geometry: countOf(GEOMETRY_WORDS), fill: 1 },
  constants: [],
  encode: (op) => ({
    words: { geometry: geometryWords(op, channelsOf(op.cols, op)), fill: zeroPoint(op.out) },
    constants: {},
  }),
  request(step, runs, values, request) {
    requestWindows(step, channelsOf(step.op.cols, step.op), runs, values, request);
  },
  isRowLocal: () => false,
};
