import { readsNothing, type NodeBase, type NodeDefinition } from './definition.js';

/** A constant value [rows, cols]: class tokens, learned queries. */
export interface ConstantNode extends NodeBase {
  readonly op: 'constant';
  readonly value: Float32Array;
}

export const constant: NodeDefinition<ConstantNode> = {
  ...readsNothing,
  evaluate: ({ value }) => value,
  toOnnx: ({ id, rows, cols, value }, writer) => {
    writer.op('Identity', [writer.floats(id, 'value', [rows, cols], value)], id);
  },
  describe: ({ value }) => ({ parameters: value.length }),
  rowsRead: () => null,
};
