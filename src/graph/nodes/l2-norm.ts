import { readsX, type NodeBase, type NodeDefinition } from './definition.js';

/** x / max(‖x‖₂, ε) over each run of `cols` elements (SwinV2's cosine attention). */
export interface L2NormNode extends NodeBase {
  readonly op: 'l2Norm';
  readonly x: string;
  readonly epsilon: number;
}

export const l2Norm: NodeDefinition<L2NormNode> = {
  ...readsX,
  evaluate({ cols, x, epsilon }, read) {
    const input = read(x);
    const out = new Float32Array(input.length);
    for (let start = 0; start < input.length; start += cols) {
      let square = 0;
      for (let c = 0; c < cols; c++) square += input[start + c] ** 2;
      const inverse = 1 / Math.max(Math.sqrt(square), epsilon);
      for (let c = 0; c < cols; c++) out[start + c] = input[start + c] * inverse;
    }
    return out;
  },
  toOnnx({ id, rows, cols, x, epsilon }, writer) {
    const input = writer.as(x, rows, cols);
    const norm = writer.op('ReduceL2', [input], `${id}//norm`, { axes: [-1], keepdims: 1 });
    const bounded = epsilon > 0 ? writer.op('Max', [norm, writer.scalar(epsilon)], `${id}//max`) : norm;
    writer.op('Div', [input, bounded], id);
  },
};
