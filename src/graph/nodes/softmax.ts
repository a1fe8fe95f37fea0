import { readsX, type NodeBase, type NodeDefinition } from './definition.js';

/** exp(x)/Σ exp(x) over each run of `cols` elements: a softmax outside of the attention that the kernels know. */
export interface SoftmaxNode extends NodeBase {
  readonly op: 'softmax';
  readonly x: string;
}

export const softmax: NodeDefinition<SoftmaxNode> = {
  ...readsX,
  evaluate({ cols, x }, read) {
    const input = read(x);
    const out = new Float32Array(input.length);
    for (let start = 0; start < input.length; start += cols) {
      let max = -Infinity;
      for (let c = 0; c < cols; c++) max = Math.max(max, input[start + c]);
      let sum = 0;
      for (let c = 0; c < cols; c++) sum += Math.exp(input[start + c] - max);
      for (let c = 0; c < cols; c++) out[start + c] = Math.exp(input[start + c] - max) / sum;
    }
    return out;
  },
  toOnnx: ({ id, rows, cols, x }, writer) => void writer.op('Softmax', [writer.as(x, rows, cols)], id, { axis: -1 }),
};
