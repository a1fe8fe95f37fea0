import { readsX, type NodeBase, type NodeDefinition } from './definition.js';

/** y = x·Wᵀ + b over the last axis; x is re-read as [rows, K]. */
export interface LinearNode extends NodeBase {
  readonly op: 'linear';
  readonly x: string;
  /** [N, K] row-major. */
  readonly weight: Float32Array;
  /** [N], zeros where the model has none. */
  readonly bias: Float32Array;
  readonly inFeatures: number;
  /** Tied weights: the linear layer before it, by id, whose quantized weights it takes; absent: it has its own. */
  readonly weightsOf?: string;
}

export const linear: NodeDefinition<LinearNode> = {
  ...readsX,
  evaluate({ rows, cols, x, weight, bias, inFeatures: k }, read) {
    const input = read(x);
    const out = new Float32Array(rows * cols);
    for (let i = 0; i < rows; i++)
      for (let n = 0; n < cols; n++) {
        let sum = bias[n];
        for (let j = 0; j < k; j++) sum += input[i * k + j] * weight[n * k + j];
        out[i * cols + n] = sum;
      }
    return out;
  },
  toOnnx({ id, rows, cols, x, weight, bias, inFeatures }, writer) {
    const inputs = [
      writer.as(x, rows, inFeatures),
      writer.floats(id, 'weight', [cols, inFeatures], weight),
      writer.floats(id, 'bias', [cols], bias),
    ];
    writer.op('Gemm', inputs, id, { transB: 1 });
  },
  describe: ({ rows, cols, weight, bias, inFeatures }) => ({
    detail: `${inFeatures} → ${cols}`,
    parameters: weight.length + bias.length,
    macs: rows * weight.length,
  }),
};
