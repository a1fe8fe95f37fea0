import { OnnxFloat } from '../onnx-writer.js';
import { readsX, type NodeBase, type NodeDefinition } from './definition.js';

/** (x − mean)/√(var + ε)·γ + β over each run of `cols` elements. */
export interface LayerNormNode extends NodeBase {
  readonly op: 'layerNorm';
  readonly x: string;
  readonly gamma: Float32Array;
  readonly beta: Float32Array;
  readonly epsilon: number;
}

export const layerNorm: NodeDefinition<LayerNormNode> = {
  ...readsX,
  evaluate({ cols, x, gamma, beta, epsilon }, read) {
    const input = read(x);
    const out = new Float32Array(input.length);
    for (let start = 0; start < input.length; start += cols) {
      let mean = 0;
      for (let c = 0; c < cols; c++) mean += input[start + c] / cols;
      let variance = 0;
      for (let c = 0; c < cols; c++) variance += (input[start + c] - mean) ** 2 / cols;
      const inverse = 1 / Math.sqrt(variance + epsilon);
      for (let c = 0; c < cols; c++) out[start + c] = (input[start + c] - mean) * inverse * gamma[c] + beta[c];
    }
    return out;
  },
  toOnnx({ id, rows, cols, x, gamma, beta, epsilon }, writer) {
    const weights = [writer.floats(id, 'gamma', [cols], gamma), writer.floats(id, 'beta', [cols], beta)];
    const attributes = { axis: -1, epsilon: new OnnxFloat(epsilon) };
    writer.op('LayerNormalization', [writer.as(x, rows, cols), ...weights], id, attributes);
  },
  describe: ({ epsilon, gamma, beta }) => ({
    detail: `ε ${Number(epsilon.toPrecision(3))}`,
    parameters: gamma.length + beta.length,
  }),
};
