import { OnnxFloat } from '../onnx-model.js';
import { readsX, type NodeBase, type NodeDefinition } from './definition.js';

/**
 * (x − mean)/√(var + ε)·γ + β, mean and variance of each group of cols/groups successive channels over all rows.
 */
export interface GroupNormNode extends NodeBase {
  readonly op: 'groupNorm';
  readonly x: string;
  readonly groups: number;
  /** [cols]. */
  readonly gamma: Float32Array;
  /** [cols]. */
  readonly beta: Float32Array;
  readonly epsilon: number;
}

export const groupNorm: NodeDefinition<GroupNormNode> = {
  ...readsX,
  evaluate({ rows, cols, x, groups, gamma, beta, epsilon }, read) {
    const input = read(x);
    const out = new Float32Array(input.length);
    const width = cols / groups;
    const count = rows * width;
    for (let start = 0; start < cols; start += width) {
      const each = (visit: (i: number, c: number) => void): void => {
        for (let r = 0; r < rows; r++) for (let c = start; c < start + width; c++) visit(r * cols + c, c);
      };
      let mean = 0;
      each((i) => (mean += input[i] / count));
      let variance = 0;
      each((i) => (variance += (input[i] - mean) ** 2 / count));
      const inverse = 1 / Math.sqrt(variance + epsilon);
      each((i, c) => (out[i] = (input[i] - mean) * inverse * gamma[c] + beta[c]));
    }
    return out;
  },
  toOnnx({ id, rows, cols, x, groups, gamma, beta, epsilon }, writer) {
    const planes = writer.op('Transpose', [writer.as(x, rows, cols)], `${id}//planes`, { perm: [1, 0] });
    const grouped = writer.reshape(planes, [1, groups, (cols / groups) * rows], `${id}//groups`);
    const ones = writer.floats(id, 'ones', [groups], new Float32Array(groups).fill(1));
    const zeros = writer.floats(id, 'zeros', [groups], new Float32Array(groups));
    const attributes = { epsilon: new OnnxFloat(epsilon) };
    const normal = writer.op('InstanceNormalization', [grouped, ones, zeros], `${id}//normal`, attributes);
    const channels = writer.reshape(normal, [cols, rows], `${id}//channels`);
    const pixels = writer.op('Transpose', [channels], `${id}//pixels`, { perm: [1, 0] });
    const scaled = writer.op('Mul', [pixels, writer.floats(id, 'gamma', [cols], gamma)], `${id}//scaled`);
    writer.op('Add', [scaled, writer.floats(id, 'beta', [cols], beta)], id);
  },
  describe: ({ groups, epsilon, gamma, beta }) => ({
    detail: `${groups} ${groups === 1 ? 'group' : 'groups'}, ε ${Number(epsilon.toPrecision(3))}`,
    parameters: gamma.length + beta.length,
  }),
  rowsRead: () => null,
};
