import { readsTwo, type NodeBase, type NodeDefinition } from './definition.js';

/** a + b. */
export interface AddNode extends NodeBase {
  readonly op: 'add';
  readonly a: string;
  readonly b: string;
}

export const add: NodeDefinition<AddNode> = {
  ...readsTwo,
  evaluate(node, read) {
    const b = read(node.b);
    return read(node.a).map((a, i) => a + b[i]);
  },
  toOnnx: ({ id, rows, cols, a, b }, writer) => {
    writer.op('Add', [writer.as(a, rows, cols), writer.as(b, rows, cols)], id);
  },
};
