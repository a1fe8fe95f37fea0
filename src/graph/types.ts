import type { ModelOutput } from '../metrics/output.js';
import type { GraphInput } from './graph-input.js';
import type { GraphNode } from './nodes/index.js';

/**
 * The canonical float graph: what every exporter's way of writing a Vision Transformer is rewritten to.
 *
 * Every activation is a flat, row-major buffer with a nominal shape [rows, cols]: rows are tokens (of all windows, the
 * batch being pinned to 1), cols are channels. Re-reading a buffer as [rows·h, cols/h] costs nothing, so there is no
 * Reshape here; ops that work on narrower rows say their own `width`. All transposes, slices, rolls, windows, merges,
 * pads and concatenations are one op, `gather`: exact, on whole pieces of contiguous elements.
 */
export interface Graph {
  readonly input: GraphInput;
  /** Topologically sorted; each node writes the value of its own `id`. */
  readonly nodes: readonly GraphNode[];
  /** The id of the node whose value holds the model's outputs: the one there is, or all of them end to end. */
  readonly output: string;
  /** What that value's numbers are. */
  readonly outputs: readonly ModelOutput[];
  readonly family: string;
  /** What the importer folded away, one line each, for `ivit inspect`. */
  readonly folded: readonly string[];
}

export type { GraphInput } from './graph-input.js';
export type { ActivationKind } from './activations.js';
export type { GraphNode } from './nodes/index.js';
export type { ActivationNode } from './nodes/activation.js';
export type { AddConstNode } from './nodes/add-const.js';
export type { AddNode } from './nodes/add.js';
export type { AffineNode } from './nodes/affine.js';
export type { AttentionNode } from './nodes/attention.js';
export type { ConstantNode } from './nodes/constant.js';
export type { DivideNode } from './nodes/divide.js';
export type { DepthwiseNode } from './nodes/depthwise.js';
export type { GatherNode } from './nodes/gather.js';
export type { GroupNormNode } from './nodes/group-norm.js';
export type { L2NormNode } from './nodes/l2-norm.js';
export type { LayerNormNode } from './nodes/layer-norm.js';
export type { LinearNode } from './nodes/linear.js';
export type { LookupNode } from './nodes/lookup.js';
export type { MatmulNode } from './nodes/matmul.js';
export type { MultiplyNode } from './nodes/multiply.js';
export type { RotaryNode } from './nodes/rotary.js';
export type { SoftmaxNode } from './nodes/softmax.js';
export type { AttentionView } from './nodes/view.js';
export type { MaxPoolNode } from './nodes/max-pool.js';
export type { MeanRowsNode } from './nodes/mean-rows.js';
export type { MixRowsNode } from './nodes/mix-rows.js';
export type { PatchEmbedNode } from './nodes/patch-embed.js';
export type { WindowsNode } from './nodes/windows.js';
