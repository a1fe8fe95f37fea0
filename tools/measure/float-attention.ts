/** Attention rollout of a float model, by the same formula as that of the integer model. */
import { normalizePixels } from '../../src/calibrate/collect.js';
import { openFloatModel } from '../../src/calibrate/runtime.js';
import { recordedNormalization } from '../../src/api/float-input.js';
import type { Model } from '../../src/api/model.js';
import { mapsOf, meanOfHeads, tokenLayout, type ImageMap } from '../../src/explain/index.js';
import { attend } from '../../src/graph/nodes/attention.js';
import type { AttentionNode } from '../../src/graph/types.js';
import { graphToOnnx, importModel } from '../../src/importer/index.js';

/** The maps of `attentionMaps` of the float model that a model was made from. */
export async function openFloatAttention(
  file: string,
  model: Model,
): Promise<{ maps(pixels: Uint8Array): Promise<ImageMap[]>; close(): Promise<void> }> {
  const { program, provenance } = model.file;
  const { height, width, channels } = program.input;
  const { graph } = await importModel(file, { size: [height, width] });
  const layout = tokenLayout(program)!;
  const nodes = graph.nodes.filter((node) => node.op === 'attention');
  const sources = [...new Set(nodes.flatMap(({ q, k, v }) => [q.source, k.source, v.source]))];
  const float = await openFloatModel(graphToOnnx(graph, sources));
  const { mean, std } = recordedNormalization(provenance);
  return {
    async maps(pixels) {
      const data = normalizePixels(pixels, channels, mean, std);
      const values = await float.run({ [float.inputNames[0]]: { data, shape: [1, channels, height, width] } });
      const blocks = nodes.map((node) => weightsOf(node, values));
      const last = blocks[blocks.length - 1];
      return mapsOf(blocks.map(meanOfHeads), last, layout);
    },
    close: () => float.close(),
  };
}

/** Softmax weights [heads, queries, keys] of one attention. */
function weightsOf(node: AttentionNode, values: ReadonlyMap<string, Float32Array>) {
  const { heads, keys: tokens } = node;
  const rows: Float64Array[] = [];
  attend(
    node,
    (id) => values.get(id)!,
    (scores) => {
      const max = scores.reduce((a, b) => Math.max(a, b));
      const weights = scores.map((score) => Math.exp(score - max));
      const sum = weights.reduce((a, b) => a + b);
      rows.push(weights.map((weight) => weight / sum));
      return weights;
    },
  );
  const weights = new Float32Array(heads * tokens * tokens);
  rows.forEach((row, i) => weights.set(row, i * tokens));
  return { heads, tokens, weights };
}

/** Pearson's correlation. */
export function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const mean = (values: ArrayLike<number>): number => Array.from(values).reduce((x, y) => x + y, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += (a[i] - meanA) * (b[i] - meanB);
    aa += (a[i] - meanA) ** 2;
    bb += (b[i] - meanB) ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}
