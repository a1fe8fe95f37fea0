import { readsX, type NodeBase, type NodeDefinition } from './definition.js';

/** x + value with a constant of the whole shape [rows, cols] (position embeddings). */
export interface AddConstNode extends NodeBase {
  readonly op: 'addConst';
  readonly x: string;
  readonly value: Float32Array;
}

export const addConst: NodeDefinition<AddConstNode> = {
  ...readsX,
  evaluate: ({ x, value }, read) => read(x).map((v, i) => v + value[i]),
  toOnnx: ({ id, rows, cols, x, value }, writer) => {
    writer.op('Add', [writer.as(x, rows, cols), writer.floats(id, 'value', [rows, cols], value)], id);
  },
  describe: ({ value }) => ({ parameters: value.length }),
};
