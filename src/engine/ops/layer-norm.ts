import { normalizeRow } from '../../kernels/layer-norm.js';
import type { LayerNormOp } from '../../program/types.js';
import type { EngineOp } from './definition.js';
import { requantizedByRow } from './rows.js';
import { halves, outputWords } from './words.js';

export const layerNorm: EngineOp<LayerNormOp> = {
  run(op, [x]) {
    const { cols, center, epsilon } = op;
    const data = x.data as Int32Array;
    return requantizedByRow(op, new Int32Array(cols), (r, normalized) =>
      normalizeRow(data.subarray(r * cols, (r + 1) * cols), center, epsilon, normalized),
    );
  },
  encode: (op) => ({
    words: [...outputWords(op.out, op.shift), op.center ? 1 : 0, ...halves(op.epsilon)],
    constants: [op.multiplier, op.offset],
  }),
};
