/**
 * The canonical float graph: what every exporter's way of writing a Vision Transformer is rewritten to.
 *
 * Every activation is a flat, row-major buffer with a nominal shape [rows, cols]: rows are tokens (of all windows,
 * the batch being pinned to 1), cols are channels. Re-reading a buffer as [rows·h, cols/h] costs nothing, so there is
 * no Reshape here; ops that work on narrower rows say their own `width`. All transposes, slices, rolls, windows, merges,
 * pads and concatenations are one op, `gather`: exact, on whole pieces of contiguous elements.
 */
export interface Graph {
  readonly input: GraphInput;
  /** Topologically sorted; each node writes the value of its own `id`. */
  readonly nodes: readonly GraphNode[];
  /** The id of the node whose value is the model's (first) output: logits, or features. */
  readonly output: string;
  /** The original graph output's name. */
  readonly outputName: string;
  readonly family: string;
  /** What the importer folded away, one line each, for `ivit inspect`. */
  readonly folded: readonly string[];
}

export interface GraphInput {
  /** The ONNX input's name. */
  readonly name: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** False for each of batch, height, width that the ONNX file leaves dynamic. */
  readonly fixed: { readonly batch: boolean; readonly height: boolean; readonly width: boolean };
}

interface NodeBase {
  /** Unique; the name of the ONNX tensor it equals where there is one. */
  readonly id: string;
  /** Human name for reports and globs, derived from weight or node names, e.g. `blocks.0.attn.qkv`. Unique. */
  readonly name: string;
  /** Nominal shape of the value it writes. */
  readonly rows: number;
  readonly cols: number;
}

/** Convolution over the (normalised float) image: always reads the graph input. y[oh·ow, N]. */
export interface PatchEmbedNode extends NodeBase {
  readonly op: 'patchEmbed';
  /** [N, kh, kw, c] row-major (channels last, as the pixels lie). */
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  /** top, left, bottom, right; padding holds normalised zeros. */
  readonly pads: readonly [number, number, number, number];
  readonly dilation: readonly [number, number];
  readonly outSize: readonly [number, number];
}

/** y = x·Wᵀ + b over the last axis; x is re-read as [rows, K]. */
export interface LinearNode extends NodeBase {
  readonly op: 'linear';
  readonly x: string;
  /** [N, K] row-major. */
  readonly weight: Float32Array;
  /** [N], zeros where the model has none. */
  readonly bias: Float32Array;
  readonly inFeatures: number;
  /** Tied weights: the linear layer before it, by id, whose quantized weights it takes; absent: it has its own. */
  readonly weightsOf?: string;
}

/** (x − mean)/√(var + ε)·γ + β over each run of `cols` elements. */
export interface LayerNormNode extends NodeBase {
  readonly op: 'layerNorm';
  readonly x: string;
  readonly gamma: Float32Array;
  readonly beta: Float32Array;
  readonly epsilon: number;
}

/** x / max(‖x‖₂, ε) over each run of `cols` elements (SwinV2's cosine attention). */
export interface L2NormNode extends NodeBase {
  readonly op: 'l2Norm';
  readonly x: string;
  readonly epsilon: number;
}

export type ActivationKind = 'gelu' | 'geluTanh' | 'quickGelu' | 'silu' | 'relu';

export interface ActivationNode extends NodeBase {
  readonly op: 'activation';
  readonly x: string;
  readonly kind: ActivationKind;
}

/**
 * Where attention reads one of its operands: the d channels of head h of token i of batch entry w lie at
 * row `rows[w·n + i]` (or row w·n + i where `rows` is null), columns `offset + h·headStride …`, the source's buffer being
 * re-read in rows of `stride` elements. `stride` is the source's `cols` but for norms per head, whose rows are narrower.
 */
export interface AttentionView {
  readonly source: string;
  readonly stride: number;
  readonly rows: Int32Array | null;
  readonly offset: number;
  readonly headStride: number;
}

/** softmax(scale·q·kᵀ + bias)·v for each of `batch` windows and `heads` heads; y[batch·queries, heads·valueDim]. */
export interface AttentionNode extends NodeBase {
  readonly op: 'attention';
  readonly q: AttentionView;
  readonly k: AttentionView;
  readonly v: AttentionView;
  readonly batch: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly dim: number;
  readonly valueDim: number;
  /** One factor per head. */
  readonly scale: Float32Array;
  /** [biasBatch, biasHeads, queries, keys], biasBatch 1 or batch, biasHeads 1 or heads; −Infinity is clamped to −1e9. */
  readonly bias: Float32Array | null;
  readonly biasBatch: number;
  readonly biasHeads: number;
}

export interface AddNode extends NodeBase {
  readonly op: 'add';
  readonly a: string;
  readonly b: string;
}

/** x·scale + shift per channel, with constant [cols] vectors, where it could not be folded into a neighbour. */
export interface AffineNode extends NodeBase {
  readonly op: 'affine';
  readonly x: string;
  readonly scale: Float32Array;
  readonly shift: Float32Array;
}

/** x + value with a constant of the whole shape [rows, cols] (position embeddings). */
export interface AddConstNode extends NodeBase {
  readonly op: 'addConst';
  readonly x: string;
  readonly value: Float32Array;
}

/** A constant value [rows, cols]: class tokens, learned queries. */
export interface ConstantNode extends NodeBase {
  readonly op: 'constant';
  readonly value: Float32Array;
}

/**
 * Exact layout op. The sources' buffers are laid end to end and cut into pieces of `piece` elements (every source's
 * size is a multiple of it); piece i of the result is piece `index[i]` of that, or zeros where it is −1.
 */
export interface GatherNode extends NodeBase {
  readonly op: 'gather';
  readonly sources: readonly string[];
  readonly piece: number;
  readonly index: Int32Array;
}

/** The mean of every `group` successive rows; y[rows, cols] from x[rows·group, cols]. */
export interface MeanRowsNode extends NodeBase {
  readonly op: 'meanRows';
  readonly x: string;
  readonly group: number;
}

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
  | MeanRowsNode;
