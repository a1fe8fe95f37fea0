import { activations, type ActivationKind } from '../activations.js';
import { readsX, type NodeBase, type NodeDefinition } from './definition.js';

export interface ActivationNode extends NodeBase {
  readonly op: 'activation';
  readonly x: string;
  readonly kind: ActivationKind;
}

export const activation: NodeDefinition<ActivationNode> = {
  ...readsX,
  evaluate: ({ x, kind }, read) => read(x).map(activations[kind].apply),
  toOnnx: ({ id, rows, cols, x, kind }, writer) => activations[kind].toOnnx(writer, writer.as(x, rows, cols), id),
  describe: ({ kind }) => ({ detail: kind }),
};
