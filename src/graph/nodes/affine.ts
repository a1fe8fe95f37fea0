import { readsX, type NodeBase, type NodeDefinition } from './definition.js';

/** x·scale + shift per channel, with constant [cols] vectors, where it could not be folded into a neighbour. */
export interface AffineNode extends NodeBase {
  readonly op: 'affine';
  readonly x: string;
  readonly scale: Float32Array;
  readonly shift: Float32Array;
}

export const affine: NodeDefinition<AffineNode> = {
  ...readsX,
  evaluate: ({ cols, x, scale, shift }, read) => read(x).map((v, i) => v * scale[i % cols] + shift[i % cols]),
  toOnnx({ id, rows, cols, x, scale, shift }, writer) {
    const factors = writer.floats(id, 'scale', [cols], scale);
    const scaled = writer.op('Mul', [writer.as(x, rows, cols), factors], `${id}//scaled`);
    writer.op('Add', [scaled, writer.floats(id, 'shift', [cols], shift)], id);
  },
  describe: ({ scale, shift }) => ({ parameters: scale.length + shift.length }),
};
