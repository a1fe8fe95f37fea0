import { expect, it } from 'vitest';
import { evaluateGraph, importModel } from '../../src/importer/index.js';
import { macsOfGraph } from '../../src/graph/describe.js';
import type { Graph } from '../../src/graph/types.js';
import { attentionAsProducts, deservesFiner, nearer } from '../../src/quantize/finer.js';
import { DEFAULT_OPTIONS, quantizeGraph, resolveScheme, type QuantizeOptions } from '../../src/quantize/index.js';
import { modernModel } from '../zoo2.js';
import { zooImages, zooModel } from '../zoo.js';
import '../build-kernels.js';

const graphOf = async (name: string): Promise<Graph> => (await importModel(zooModel(name).path)).graph;
const lut = { ...DEFAULT_OPTIONS, kernels: 'lut' } as const;

it.each(['timm_ts_opset16', 'timm_swin_pad_ts_opset17', 'hf_beit_ts_opset17'])(
  'attention as products computes the same (%s)',
  async (name) => {
    const graph = await graphOf(name);
    const [{ normalised }] = await zooImages(zooModel(name));
    const wanted = evaluateGraph(graph, normalised);
    const got = evaluateGraph(attentionAsProducts(graph), normalised);
    const scale = Math.max(...wanted.map(Math.abs));
    wanted.forEach((value, c) => expect(Math.abs(got[c] - value) / scale).toBeLessThan(1e-5));
  },
);

it('attention whose scores would fill the memory stays as it is', async () => {
  const graph = await graphOf('timm_ts_opset16');
  expect(attentionAsProducts(graph, 2 ** 24)).toEqual(graph);
});

it('a network whose errors come through is built again with more bits', async () => {
  const model = modernModel('segmenter_ts17');
  const { graph } = await importModel(model.path);
  const images = model.cases.map(({ pixels }) => pixels);
  const { outputs, layers, attentions, notices } = await quantizeGraph({
    ...{ graph, images, normalization: model.input },
    options: lut,
  });
  expect(notices).toEqual([expect.stringMatching(/inputs and weights have more bits throughout/)]);
  expect(Math.min(...outputs.map(({ sqnrDb }) => sqnrDb))).toBeGreaterThan(20);
  expect(new Set(layers.slice(1).map(({ inputBits }) => inputBits))).toEqual(new Set([16]));
  expect(new Set(layers.map(({ weightBits }) => weightBits))).toEqual(new Set([12]));
  expect(attentions.length).toBeGreaterThan(0);
});

it('where scores are so large that 8 bits of queries and keys are too few, these get 16', async () => {
  const name = 'timm_ts_opset16';
  const before = await graphOf(name);
  const nodes = before.nodes.map((node) =>
    node.op === 'attention' ? { ...node, scale: node.scale.map((factor) => factor * 60) } : node,
  );
  const graph = { ...before, nodes };
  const images = (await zooImages(zooModel(name))).map(({ pixels }) => pixels);
  const normalization = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
  const { outputs, attentions, program } = await quantizeGraph({ graph, images, normalization, options: lut });
  expect(attentions).toEqual([]);
  expect(program.ops.filter(({ op }) => op === 'softmax').length).toBeGreaterThan(1);
  expect(outputs[0].sqnrDb).toBeGreaterThan(22);
});

const result = (...sqnrDb: number[]) => ({ outputs: sqnrDb.map((db) => ({ sqnrDb: db })), notices: [] as string[] });

it('networks deserve it that are small enough for how far they are, where nobody asks for a small file', async () => {
  const graph = await graphOf('timm_ts_opset16');
  const deserves = (options: Partial<QuantizeOptions>, ...sqnrDb: number[]) =>
    deservesFiner(graph, resolveScheme({ ...lut, ...options }, false), result(...sqnrDb));
  expect(deserves({}, 30, 21)).toBe(true);
  expect(deserves({}, 30, 23)).toBe(false);
  expect(deserves({}, NaN, 30)).toBe(false);
  expect(deserves({ weightBits: 4 }, 21)).toBe(false);
  expect(deserves({ effort: 'none' }, 21)).toBe(false);
  expect(deserves({ kernels: 'paper' }, 10)).toBe(false);
  const deservesAt = (macs: number, db: number) => {
    const times = macs / macsOfGraph(graph);
    const nodes = graph.nodes.map((node) => ('rows' in node ? { ...node, rows: node.rows * times } : node));
    return deservesFiner({ ...graph, nodes }, resolveScheme(lut, false), result(db));
  };
  expect(deservesAt(1e9, 21)).toBe(false);
  expect(deservesAt(1e9, 19)).toBe(true);
  expect(deservesAt(1e11, 19)).toBe(false);
});

it('the result whose farthest output is nearer is taken', () => {
  const [a, b] = [result(30, 15), result(20, 18)];
  const nearerOf = (built: typeof a, finer: typeof a) => nearer(built, finer, 'inputs have');
  expect(nearerOf(b, a)).toBe(b);
  expect(nearerOf(a, result(NaN, 14))).toBe(a);
  expect(nearerOf(a, b)).toEqual({
    ...b,
    notices: [expect.stringMatching(/15\.0 dB .*inputs have more bits.* 18\.0 dB/)],
  });
});
