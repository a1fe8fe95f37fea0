/** Every kind of node of a canonical graph. A new one is a file beside this one, and a line in each list here. */
import { activation, type ActivationNode } from './activation.js';
import { add, type AddNode } from './add.js';
import { addConst, type AddConstNode } from './add-const.js';
import { affine, type AffineNode } from './affine.js';
import { attention, type AttentionNode } from './attention.js';
import { constant, type ConstantNode } from './constant.js';
import type { NodeDefinition } from './definition.js';
import { depthwise, type DepthwiseNode } from './depthwise.js';
import { gather, type GatherNode } from './gather.js';
import { groupNorm, type GroupNormNode } from './group-norm.js';
import { l2Norm, type L2NormNode } from './l2-norm.js';
import { layerNorm, type LayerNormNode } from './layer-norm.js';
import { linear, type LinearNode } from './linear.js';
import { maxPool, type MaxPoolNode } from './max-pool.js';
import { meanRows, type MeanRowsNode } from './mean-rows.js';
import { divide, type DivideNode } from './divide.js';
import { lookup, type LookupNode } from './lookup.js';
import { matmul, type MatmulNode } from './matmul.js';
import { multiply, type MultiplyNode } from './multiply.js';
import { rotary, type RotaryNode } from './rotary.js';
import { softmax, type SoftmaxNode } from './softmax.js';
import { mixRows, type MixRowsNode } from './mix-rows.js';
import { patchEmbed, type PatchEmbedNode } from './patch-embed.js';
import { windows, type WindowsNode } from './windows.js';

export type GraphNode =
  | PatchEmbedNode
  | LinearNode
  | LayerNormNode
  | L2NormNode
  | ActivationNode
  | AttentionNode
  | AddNode
  | AffineNode
  | AddConstNode
  | ConstantNode
  | GatherNode
  | MeanRowsNode
  | DivideNode
  | LookupNode
  | MatmulNode
  | MultiplyNode
  | RotaryNode
  | SoftmaxNode
  | WindowsNode
  | DepthwiseNode
  | MaxPoolNode
  | MixRowsNode
  | GroupNormNode;

const definitions = {
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
} satisfies { [K in GraphNode['op']]: NodeDefinition<Extract<GraphNode, { op: K }>> };

/** The definition of a node's kind. */
export function definitionOf({ op }: GraphNode): NodeDefinition<GraphNode> {
  return definitions[op] as unknown as NodeDefinition<GraphNode>;
}

/** The ids of the values that a node reads, each once. */
export function operandsOf(node: GraphNode): readonly string[] {
  return definitionOf(node).operands(node);
}

/** The node reading other values: `rename` gives the new id for each old one. */
export function withOperands(node: GraphNode, rename: (id: string) => string): GraphNode {
  return definitionOf(node).withOperands(node, rename);
}
