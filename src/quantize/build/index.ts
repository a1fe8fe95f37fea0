/** How the quantizer handles each kind of node. A new one is a file beside this one, and a line here. */
import type { GraphNode } from '../../graph/types.js';
import { activation } from './activation.js';
import { add } from './add.js';
import { addConst } from './add-const.js';
import { affine } from './affine.js';
import { attention } from './attention.js';
import { constant } from './constant.js';
import type { NodeBuilder } from './definition.js';
import { depthwise } from './depthwise.js';
import { gather } from './gather.js';
import { groupNorm } from './group-norm.js';
import { l2Norm } from './l2-norm.js';
import { layerNorm } from './layer-norm.js';
import { linear } from './linear.js';
import { maxPool } from './max-pool.js';
import { meanRows } from './mean-rows.js';
import { divide } from './divide.js';
import { lookup } from './lookup.js';
import { matmul } from './matmul.js';
import { multiply } from './multiply.js';
import { rotary } from './rotary.js';
import { softmax } from './softmax.js';
import { mixRows } from './mix-rows.js';
import { patchEmbed } from './patch-embed.js';
import { windows } from './windows.js';

const builders = {
  patchEmbed,
  linear,
  layerNorm,
  l2Norm,
  activation,
  attention,
  add,
  affine,
  addConst,
  constant,
  gather,
  meanRows,
  divide,
  lookup,
  matmul,
  multiply,
  rotary,
  softmax,
  windows,
  depthwise,
  maxPool,
  mixRows,
  groupNorm,
} satisfies { [K in GraphNode['op']]: NodeBuilder<Extract<GraphNode, { op: K }>> };

/** How a node's kind is handled. */
export function builderOf({ op }: GraphNode): NodeBuilder<GraphNode> {
  return builders[op] as unknown as NodeBuilder<GraphNode>;
}
