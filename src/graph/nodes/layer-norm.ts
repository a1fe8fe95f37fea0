import { OnnxFloat } from '../onnx-model.js';
import type { OnnxWriter } from '../onnx-writer.js';
import { readsX, type NodeBase, type NodeDefinition } from './definition.js';

/**
 * (x − mean)/√(var + ε)·γ + β over each run of `cols` elements. With `center` false x/√(mean(x²) + ε)·γ + β: RMSNorm.
 */
export interface LayerNormNode extends NodeBase {
  readonly op: 'layerNorm';
  readonly x: string;
  readonly center: boolean;
  readonly gamma: Float32Array;
  readonly beta: Float32Array;
  readonly epsilon: number;
}

export const layerNorm: NodeDefinition<LayerNormNode> = {
  ...readsX,
  evaluate({ cols, x, center, gamma, beta, epsilon }, read) {
    const input = read(x);
    const out = new Float32Array(input.length);
    for (let start = 0; start < input.length; start += cols) {
      let mean = 0;
      for (let c = 0; c < cols && center; c++) mean += input[start + c] / cols;
      let variance = 0;
      for (let c = 0; c < cols; c++) variance += (input[start + c] - mean) ** 2 / cols;
      const inverse = 1 / Math.sqrt(variance + epsilon);
      for (let c = 0; c < cols; c++) out[start + c] = (input[start + c] - mean) * inverse * gamma[c] + beta[c];
    }
    return out;
  },
  toOnnx({ id, rows, cols, x, center, gamma, beta, epsilon }, writer) {
    const weights = [writer.floats(id, 'gamma', [cols], gamma), writer.floats(id, 'beta', [cols], beta)];
    const input = writer.as(x, rows, cols);
    if (!center) return writeRmsNorm(writer, id, { input, epsilon, gamma: weights[0], beta: weights[1] });
    const attributes = { axis: -1, epsilon: new OnnxFloat(epsilon) };
    writer.op('LayerNormalization', [input, ...weights], id, attributes);
  },
  describe: ({ center, epsilon, gamma, beta }) => ({
    detail: `${center ? '' : 'RMS, '}ε ${Number(epsilon.toPrecision(3))}`,
    parameters: gamma.length + (center ? beta.length : 0),
  }),
};

/** Opset 17 has no operator for it. The fields, ε apart, are names of tensors. */
function writeRmsNorm(
  writer: OnnxWriter,
  id: string,
  of: { readonly input: string; readonly epsilon: number; readonly gamma: string; readonly beta: string },
): void {
  const square = writer.op('Mul', [of.input, of.input], `${id}//square`);
  const mean = writer.op('ReduceMean', [square], `${id}//mean`, { axes: [-1], keepdims: 1 });
  const root = writer.op('Sqrt', [writer.op('Add', [mean, writer.scalar(of.epsilon)], `${id}//sum`)], `${id}//root`);
  const scaled = writer.op('Mul', [writer.op('Div', [of.input, root], `${id}//ratio`), of.gamma], `${id}//scaled`);
  writer.op('Add', [scaled, of.beta], id);
}
