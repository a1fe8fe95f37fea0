import { activationFunctions } from './activations.js';
import { viewStart } from './nodes.js';
import type { AttentionNode, Graph, GraphNode, PatchEmbedNode } from './types.js';

/**
 * Runs a canonical graph in float, plainly: the meaning of each node, for tests and small models.
 * @param image Normalised pixels, [channels, height, width] row-major.
 * @returns The output node's value.
 */
export function evaluateGraph(graph: Graph, image: Float32Array): Float32Array {
  return evaluateAll(graph, image).get(graph.output)!;
}

/** The value of every node by id, each [rows, cols] row-major. */
export function evaluateAll(graph: Graph, image: Float32Array): Map<string, Float32Array> {
  const { channels, height, width } = graph.input;
  if (image.length !== channels * height * width)
    throw new RangeError(`Expected ${channels * height * width} pixel values for image but received ${image.length}`);
  const values = new Map<string, Float32Array>();
  for (const node of graph.nodes) {
    const value = compute(node, (id) => values.get(id)!, image, graph.input);
    values.set(node.id, value);
  }
  return values;
}

function compute(
  node: GraphNode,
  read: (id: string) => Float32Array,
  image: Float32Array,
  size: { height: number; width: number },
): Float32Array {
  const { rows, cols } = node;
  const out = new Float32Array(rows * cols);
  switch (node.op) {
    case 'patchEmbed':
      return patchEmbed(node, image, size);
    case 'linear': {
      const x = read(node.x);
      const k = node.inFeatures;
      for (let i = 0; i < rows; i++)
        for (let n = 0; n < cols; n++) {
          let sum = node.bias[n];
          for (let j = 0; j < k; j++) sum += x[i * k + j] * node.weight[n * k + j];
          out[i * cols + n] = sum;
        }
      return out;
    }
    case 'layerNorm': {
      const x = read(node.x);
      for (let start = 0; start < x.length; start += cols) {
        let mean = 0;
        for (let c = 0; c < cols; c++) mean += x[start + c] / cols;
        let variance = 0;
        for (let c = 0; c < cols; c++) variance += (x[start + c] - mean) ** 2 / cols;
        const inverse = 1 / Math.sqrt(variance + node.epsilon);
        for (let c = 0; c < cols; c++) out[start + c] = (x[start + c] - mean) * inverse * node.gamma[c] + node.beta[c];
      }
      return out;
    }
    case 'l2Norm': {
      const x = read(node.x);
      for (let start = 0; start < x.length; start += cols) {
        let square = 0;
        for (let c = 0; c < cols; c++) square += x[start + c] ** 2;
        const inverse = 1 / Math.max(Math.sqrt(square), node.epsilon);
        for (let c = 0; c < cols; c++) out[start + c] = x[start + c] * inverse;
      }
      return out;
    }
    case 'activation':
      return read(node.x).map(activationFunctions[node.kind]);
    case 'attention':
      return attend(node, read, softmax);
    case 'add': {
      const b = read(node.b);
      return read(node.a).map((a, i) => a + b[i]);
    }
    case 'affine':
      return read(node.x).map((x, i) => x * node.scale[i % cols] + node.shift[i % cols]);
    case 'addConst':
      return read(node.x).map((x, i) => x + node.value[i]);
    case 'constant':
      return node.value;
    case 'gather': {
      const sources = node.sources.map(read);
      const all = new Float32Array(sources.reduce((sum, source) => sum + source.length, 0));
      let at = 0;
      for (const source of sources) {
        all.set(source, at);
        at += source.length;
      }
      const { piece } = node;
      node.index.forEach((from, i) => {
        if (from >= 0) out.set(all.subarray(from * piece, (from + 1) * piece), i * piece);
      });
      return out;
    }
    case 'meanRows': {
      const x = read(node.x);
      for (let i = 0; i < rows; i++)
        for (let c = 0; c < cols; c++) {
          let sum = 0;
          for (let g = 0; g < node.group; g++) sum += x[(i * node.group + g) * cols + c];
          out[i * cols + c] = sum / node.group;
        }
      return out;
    }
  }
}

function patchEmbed(
  node: PatchEmbedNode,
  image: Float32Array,
  { height, width }: { height: number; width: number },
): Float32Array {
  const [kh, kw] = node.kernel;
  const [oh, ow] = node.outSize;
  const channels = image.length / (height * width);
  const out = new Float32Array(node.rows * node.cols);
  for (let oy = 0; oy < oh; oy++)
    for (let ox = 0; ox < ow; ox++)
      for (let n = 0; n < node.cols; n++) {
        let sum = node.bias[n];
        for (let ky = 0; ky < kh; ky++)
          for (let kx = 0; kx < kw; kx++) {
            const y = oy * node.stride[0] - node.pads[0] + ky * node.dilation[0];
            const x = ox * node.stride[1] - node.pads[1] + kx * node.dilation[1];
            if (y < 0 || y >= height || x < 0 || x >= width) continue;
            for (let c = 0; c < channels; c++)
              sum += image[(c * height + y) * width + x] * node.weight[((n * kh + ky) * kw + kx) * channels + c];
          }
        out[(oy * ow + ox) * node.cols + n] = sum;
      }
  return out;
}

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
          const to = viewStart(node.k, w * keys + j, h);
          let dot = 0;
          for (let d = 0; d < dim; d++) dot += q[from + d] * k[to + d];
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

function softmax(scores: Float64Array): Float64Array {
  const max = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = scores.map((x) => Math.exp(x - max));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / sum);
}
