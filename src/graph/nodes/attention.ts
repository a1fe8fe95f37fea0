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
  toOnnx: (node, writer) => writeAttention(node, writer),
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

/** A runtime holds as many numbers as there are scores, several times. */
const MOST_SCORES = 1 << 26;

/** @param mostScores from so many scores of all heads on, these are written one by one */
export function writeAttention(node: AttentionNode, writer: OnnxWriter, mostScores = MOST_SCORES): void {
  const { id, batch, heads, queries, keys, valueDim } = node;
  const operands = [
    headsOf(writer, node, 'q', [0, 2, 1, 3]),
    headsOf(writer, node, 'k', [0, 2, 3, 1]),
    headsOf(writer, node, 'v', [0, 2, 1, 3]),
  ];
  const bias = node.bias && writer.floats(id, 'bias', [node.biasBatch, node.biasHeads, queries, keys], node.bias);
  let values: string;
  if (heads === 1 || batch * heads * queries * keys <= mostScores) {
    values = writeWeighted(writer, id, operands, node.scale, bias);
  } else {
    const of = (x: string, h: number): string => writer.slice(x, 1, h, h + 1, `${x}.${h}`);
    const perHead = Array.from({ length: heads }, (_, h) => {
      const own = operands.map((operand) => of(operand, h));
      const ownBias = bias !== null && node.biasHeads > 1 ? of(bias, h) : bias;
      return writeWeighted(writer, `${id}//${h}`, own, node.scale.subarray(h, h + 1), ownBias);
    });
    values = writer.op('Concat', perHead, `${id}//values`, { axis: 1 });
  }
  const merged = writer.op('Transpose', [values], `${id}//merged`, { perm: [0, 2, 1, 3] });
  writer.reshape(merged, [batch * queries, heads * valueDim], id);
}

/**
 * Writes softmax(scale·q·k + bias)·v of heads.
 *
 * @param operands q [batch, heads, queries, dim], k [batch, heads, dim, keys], v [batch, heads, keys, valueDim]
 * @param label what the names of its steps begin with
 */
function writeWeighted(
  writer: OnnxWriter,
  label: string,
  [q, k, v]: readonly string[],
  scales: Float32Array,
  bias: string | null,
): string {
  const isUniform = scales.every((scale) => scale === scales[0]);
  const scale = isUniform ? writer.scalar(scales[0]) : writer.floats(label, 'scale', [scales.length, 1, 1], scales);
  let scores = writer.op('MatMul', [writer.op('Mul', [q, scale], `${label}//scaled`), k], `${label}//scores`);
  if (bias !== null) scores = writer.op('Add', [scores, bias], `${label}//biased`);
  const weights = writer.op('Softmax', [scores], `${label}//weights`, { axis: -1 });
  return writer.op('MatMul', [weights, v], `${label}//values`);
}

/** An attention operand as [batch, tokens, heads, dim], permuted. */
function headsOf(writer: OnnxWriter, node: AttentionNode, operand: 'q' | 'k' | 'v', perm: readonly number[]): string {
  const tokens = operand === 'q' ? node.queries : node.keys;
  const dim = operand === 'v' ? node.valueDim : node.dim;
  const heads = writeView(writer, node[operand], [node.batch, tokens, node.heads, dim], `${node.id}//${operand}`);
  return writer.op('Transpose', [heads], `${node.id}//${operand}.heads`, { perm });
}
