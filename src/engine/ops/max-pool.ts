import { poolMaxima } from '../../kernels/windows.js';
import type { MaxPoolOp } from '../../program/types.js';
import { allocate } from '../values.js';
import type { EngineOp } from './definition.js';
import { GEOMETRY_WORDS, geometryWords, requestWindows } from './geometry.js';
import { countOf } from './words.js';

export const maxPool: EngineOp<MaxPoolOp> = {
  run(op, [x]) {
    const value = allocate(op);
    poolMaxima(op, x.data, op.cols, value.data);
    return value;
  },
  words: { geometry: countOf(GEOMETRY_WORDS) },
  constants: [],
  encode: (op) => ({ words: { geometry: geometryWords(op, op.cols) }, constants: {} }),
  request(step, runs, values, request) {
    requestWindows(step, step.op.cols, runs, values, request);
  },
  isRowLocal: () => false,
};
