import type { OnnxWriter } from '../onnx-writer.js';
import type { NodeBase, NodeDefinition } from './definition.js';
import { viewRows, viewStart, writeView, type AttentionView } from './view.js';

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
  /**
   * [biasBatch, biasHeads, queries, keys], biasBatch 1 or batch, biasHeads 1 or heads; −Infinity is clamped to −1e9.
   */
  readonly bias: Float32Array | null;
  readonly biasBatch: number;
  readonly biasHeads: number;
}

const VIEWS = ['q', 'k', 'v'] as const;

export const attention: NodeDefinition<AttentionNode> = {
  operands: (node) => [...new Set(VIEWS.map((view) => node[view].source))],
  withOperands(node, rename) {
    const view = (of: AttentionView): AttentionView => ({ ...of, source: rename(of.source) });
    return { ...node, q: view(node.q), k: view(node.k), v: view(node.v) };
  },
  evaluate: (node, read) => attend(node, read, softmax),
  toOnnx(node, writer) {
    const { id, batch, heads, queries, keys, valueDim } = node;
    const q = headsOf(writer, node, 'q', [0, 2, 1, 3]);
    const k = headsOf(writer, node, 'k', [0, 2, 3, 1]);
    const v = headsOf(writer, node, 'v', [0, 2, 1, 3]);
    const uniform = node.scale.every((scale) => scale === node.scale[0]);
    const scale = uniform ? writer.scalar(node.scale[0]) : writer.floats(id, 'scale', [heads, 1, 1], node.scale);
    let scores = writer.op('MatMul', [writer.op('Mul', [q, scale], `${id}//scaled`), k], `${id}//scores`);
    if (node.bias) {
      const bias = writer.floats(id, 'bias', [node.biasBatch, node.biasHeads, queries, keys], node.bias);
      scores = writer.op('Add', [scores, bias], `${id}//biased`);
    }
    const weights = writer.op('Softmax', [scores], `${id}//weights`, { axis: -1 });
    const perHead = writer.op('MatMul', [weights, v], `${id}//values`);
    const merged = writer.op('Transpose', [perHead], `${id}//merged`, { perm: [0, 2, 1, 3] });
    writer.reshape(merged, [batch * queries, heads * valueDim], id);
  },
  describe({ batch, heads, queries, keys, dim, valueDim }) {
    const windows = batch > 1 ? `, ${batch} windows` : '';
    // Position biases and masks lie expanded here: they would count many times what the model has.
    const macs = batch * heads * queries * keys * (dim + valueDim);
    return { detail: `${heads} heads of ${dim}${windows}`, macs };
  },
  rowsRead(node, { id, cols }, wanted) {
    if (VIEWS.some((view) => node[view].source === id && node[view].stride !== cols)) return null;
    const isKeyOrValue = node.k.source === id || node.v.source === id;
    if (isKeyOrValue) return viewRows(node.k, node.batch * node.keys, null);
    return viewRows(node.q, node.batch * node.queries, wanted);
  },
};

/**
 * An attention whose weights are given by a function of one query's scores (scaled, with bias): [rows, cols] float32.
 *
 * @param read the value of a node
 */
export function attend(
  node: AttentionNode,
  read: (id: string) => Float32Array,
  weigh: (scores: Float64Array, query: number) => Float64Array,
): Float32Array {
  const { batch, heads, queries, keys, dim, valueDim } = node;
  const [q, k, v] = [node.q, node.k, node.v].map((view) => read(view.source));
  const out = new Float32Array(node.rows * node.cols);
  const scores = new Float64Array(keys);
  for (let w = 0; w < batch; w++)
    for (let h = 0; h < heads; h++)
      for (let i = 0; i < queries; i++) {
        const from = viewStart(node.q, w * queries + i, h);
        const biasRow =
          (((node.biasBatch > 1 ? w : 0) * node.biasHeads + (node.biasHeads > 1 ? h : 0)) * queries + i) * keys;
        for (let j = 0; j < keys; j++) {
          const dot = dotProduct(q, from, k, viewStart(node.k, w * keys + j, h), dim);
          scores[j] = dot * node.scale[h] + (node.bias ? node.bias[biasRow + j] : 0);
        }
        const weights = weigh(scores, i);
        const target = ((w * queries + i) * heads + h) * valueDim;
        for (let j = 0; j < keys; j++) {
          const at = viewStart(node.v, w * keys + j, h);
          for (let d = 0; d < valueDim; d++) out[target + d] += weights[j] * v[at + d];
        }
      }
  return out;
}

/** In four sums: one would wait for each addition to end before the next. */
function dotProduct(a: Float32Array, fromA: number, b: Float32Array, fromB: number, length: number): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  let d = 0;
  for (; d + 4 <= length; d += 4) {
    s0 += a[fromA + d] * b[fromB + d];
    s1 += a[fromA + d + 1] * b[fromB + d + 1];
    s2 += a[fromA + d + 2] * b[fromB + d + 2];
    s3 += a[fromA + d + 3] * b[fromB + d + 3];
  }
  for (; d < length; d++) s0 += a[fromA + d] * b[fromB + d];
  return s0 + s1 + (s2 + s3);
}

function softmax(scores: Float64Array): Float64Array {
  const max = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = scores.map((x) => Math.exp(x - max));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / sum);
}

/** An attention operand as [batch, tokens, heads, dim], permuted. */
function headsOf(writer: OnnxWriter, node: AttentionNode, operand: 'q' | 'k' | 'v', perm: readonly number[]): string {
  const tokens = operand === 'q' ? node.queries : node.keys;
  const dim = operand === 'v' ? node.valueDim : node.dim;
  const heads = writeView(writer, node[operand], [node.batch, tokens, node.heads, dim], `${node.id}//${operand}`);
  return writer.op('Transpose', [heads], `${node.id}//${operand}.heads`, { perm });
}
