import { depthwiseRow } from '../../kernels/depthwise.js';
import { findTaps, makeTaps } from '../../kernels/geometry.js';
import type { DepthwiseOp } from '../../program/types.js';
import type { EngineOp } from './definition.js';
import { GEOMETRY_WORDS, geometryWords, requestWindows } from './geometry.js';
import { requantizedByRow } from './rows.js';
import { OUTPUT_WORDS, countOf, outputWords } from './words.js';

export const depthwise: EngineOp<DepthwiseOp> = {
  run(op, [x]) {
    const pixels = makeTaps(op);
    return requantizedByRow(op, new Int32Array(op.cols), (r, v) => {
      findTaps(op, r, pixels);
      depthwiseRow(op, x.data as Int16Array, pixels, v);
    });
  },
  words: { out: countOf(OUTPUT_WORDS), geometry: countOf(GEOMETRY_WORDS) },
  constants: ['multiplier', 'offset', 'weight'],
  encode: (op) => ({
    words: { out: outputWords(op.out, op.shift), geometry: geometryWords(op, op.cols) },
    constants: { multiplier: op.multiplier, offset: op.offset, weight: op.weight },
  }),
  request(step, runs, values, request) {
    requestWindows(step, step.op.cols, runs, values, request);
  },
  isRowLocal: () => false,
};
