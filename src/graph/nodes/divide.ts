import {
  describeBroadcast,
  evaluateBroadcast,
  rowsReadBroadcast,
  writeBroadcast,
  type BroadcastNode,
} from './broadcast.js';
import { readsTwo, type NodeDefinition } from './definition.js';

/** a/b: the normalisation of linear attention, and others by a value of the network. */
export interface DivideNode extends BroadcastNode {
  readonly op: 'divide';
}

export const divide: NodeDefinition<DivideNode> = {
  ...readsTwo,
  evaluate: (node, read) => evaluateBroadcast(node, read, (a, b) => a / b),
  toOnnx: (node, writer) => writeBroadcast('Div', node, writer),
  describe: describeBroadcast,
  rowsRead: rowsReadBroadcast,
};
