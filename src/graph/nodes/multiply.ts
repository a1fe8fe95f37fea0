import {
  describeBroadcast,
  evaluateBroadcast,
  rowsReadBroadcast,
  writeBroadcast,
  type BroadcastNode,
} from './broadcast.js';
import { readsTwo, type NodeDefinition } from './definition.js';

/** a·b: gates, rotary position, squares. */
export interface MultiplyNode extends BroadcastNode {
  readonly op: 'multiply';
}

export const multiply: NodeDefinition<MultiplyNode> = {
  ...readsTwo,
  evaluate: (node, read) => evaluateBroadcast(node, read, (a, b) => a * b),
  toOnnx: (node, writer) => writeBroadcast('Mul', node, writer),
  describe: describeBroadcast,
  rowsRead: rowsReadBroadcast,
};
