import { normFloat } from '../../float-kernels/index.js';
import type { FloatNormOp } from '../../program/types.js';
import type { EngineOp } from './definition.js';
import { layerNorm } from './layer-norm.js';
import { requantizedByRow } from './rows.js';

/** Its words and constants are those of `layerNorm`, and read by the same C. */
export const floatNorm: EngineOp<FloatNormOp> = {
  run(op, [x]) {
    const { cols, center, epsilon } = op;
    const data = x.data as Int32Array;
    return requantizedByRow(op, new Int32Array(cols), (r, v) =>
      normFloat(data.subarray(r * cols, (r + 1) * cols), center, epsilon, v),
    );
  },
  words: layerNorm.words,
  constants: layerNorm.constants,
  encode: (op, surroundings) => layerNorm.encode({ ...op, op: 'layerNorm' }, surroundings),
};
