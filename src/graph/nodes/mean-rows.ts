import { readsX, type NodeBase, type NodeDefinition } from './definition.js';

/** The mean of every `group` successive rows; y[rows, cols] from x[rows·group, cols]. */
export interface MeanRowsNode extends NodeBase {
  readonly op: 'meanRows';
  readonly x: string;
  readonly group: number;
}

export const meanRows: NodeDefinition<MeanRowsNode> = {
  ...readsX,
  evaluate({ rows, cols, x, group }, read) {
    const input = read(x);
    const out = new Float32Array(rows * cols);
    for (let i = 0; i < rows; i++)
      for (let c = 0; c < cols; c++) {
        let sum = 0;
        for (let g = 0; g < group; g++) sum += input[(i * group + g) * cols + c];
        out[i * cols + c] = sum / group;
      }
    return out;
  },
  toOnnx({ id, rows, cols, x, group }, writer) {
    writer.op('ReduceMean', [writer.reshape(x, [rows, group, cols])], id, { axes: [1], keepdims: 0 });
  },
  describe: ({ group }) => ({ detail: `of ${group}` }),
  rowsRead: () => null,
};
