import { expect, test } from 'vitest';
import { collect, NO_STATISTICS } from '../../src/calibrate/collect.js';
import { addedRows, separateOutputRows } from '../../src/quantize/output-rows.js';
import { cutGraph } from '../../src/calibrate/parts.js';
import { openFloatModel } from '../../src/calibrate/runtime.js';
import { importModel } from '../../src/importer/index.js';
import { operandsOf } from '../../src/graph/nodes/index.js';
import { partToOnnx } from '../../src/graph/write.js';
import { zooImages, zooModel } from '../zoo.js';

const NAMES = ['timm_swin_ts_opset13', 'timm_distilled_ts_opset17', 'timm_map_ts_opset17'];

test.each(NAMES)('%s in parts is the whole, cut where little is handed on', async (name) => {
  const { graph } = await importModel(zooModel(name).path);
  expect(cutGraph(graph)).toMatchObject([{ nodes: graph.nodes, inputs: [], carried: [] }]);
  const parts = cutGraph(graph, { weights: 30_000 });
  expect(parts.length).toBeGreaterThan(2);
  expect(parts.flatMap(({ nodes }) => nodes)).toEqual(graph.nodes);
  const known = new Set<string>();
  for (const { nodes, inputs, carried } of parts) {
    // The residual stream alone, and constants that are read later.
    expect(inputs.length).toBeLessThan(4);
    for (const id of inputs) expect(known).toContain(id);
    const own = new Set(nodes.map(({ id }) => id));
    for (const id of nodes.flatMap(operandsOf)) expect(own.has(id) || inputs.includes(id)).toBe(true);
    for (const id of carried) known.add(id);
  }
});

test('parts have no more values than the limit, but where one node has', async () => {
  const { graph } = await importModel(zooModel('timm_ts_opset17').path);
  const bytesOf = (rows: number, cols: number): number => 4 * rows * cols;
  const values = 3 * Math.max(...graph.nodes.map(({ rows, cols }) => bytesOf(rows, cols)));
  const parts = cutGraph(graph, { values });
  expect(parts.length).toBeGreaterThan(2);
  expect(parts.flatMap(({ nodes }) => nodes)).toEqual(graph.nodes);
  for (const { nodes } of parts) {
    const made = nodes.filter(({ op }) => op !== 'constant' && op !== 'windows');
    expect(made.reduce((sum, { rows, cols }) => sum + bytesOf(rows, cols), 0)).toBeLessThanOrEqual(values);
  }
});

test.each(NAMES)('%s gives its logits part by part', async (name) => {
  const model = zooModel(name);
  const { graph } = await importModel(model.path);
  const [image] = await zooImages(model);
  const values = new Map<string, Float32Array>();
  for (const { nodes, inputs, carried } of cutGraph(graph, { weights: 20_000 })) {
    const outputs = nodes.some(({ id }) => id === graph.output) ? [...carried, graph.output] : carried;
    const session = await openFloatModel(partToOnnx(graph, nodes, inputs, outputs));
    const shape = (id: string): number[] => {
      const node = graph.nodes.find((other) => other.id === id)!;
      return [node.rows, node.cols];
    };
    const feeds = Object.fromEntries(inputs.map((id) => [id, { data: values.get(id)!, shape: shape(id) }]));
    if (session.inputNames.includes(graph.input.name))
      feeds[graph.input.name] = { data: image.normalised, shape: [...model.input.shape] };
    for (const [id, value] of await session.run(feeds, outputs)) values.set(id, value);
    await session.close();
  }
  values.get(graph.output)!.forEach((v, i) => expect(v).toBeCloseTo(model.logits[0][i], 4));
});

const NORMALIZATION = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

test('statistics, samples and logits do not depend on the cuts', async () => {
  const model = zooModel('timm_ts_opset17');
  const { graph } = await importModel(model.path);
  const images = (await zooImages(model)).map(({ pixels }) => pixels);
  const linear = graph.nodes.find((node) => node.op === 'linear')!;
  const request = {
    graph,
    images,
    normalization: NORMALIZATION,
    statistics: {
      nodes: new Set(graph.nodes.filter((node) => node.op !== 'constant').map(({ id }) => id)),
      images: 2,
      histograms: false,
    },
    samples: new Map([[linear.id, (image: number) => Int32Array.of(image, image + 1)]]),
    runtime: { threads: 1 },
  };
  const whole = await collect(request);
  const cut = await collect({ ...request, runtime: { threads: 1, partBytes: 20_000 } });
  expect(cut.logits.length).toBe(3);
  cut.logits.forEach((logits, i) => logits.forEach((v, c) => expect(v).toBeCloseTo(whole.logits[i][c], 4)));
  for (const [id, statistics] of whole.statistics) {
    statistics.max.forEach((v, c) => expect(cut.statistics.get(id)!.max[c]).toBeCloseTo(v, 3));
    expect(cut.statistics.get(id)!.images).toBe(2);
  }
  const all = 6 * linear.cols;
  cut.samples
    .read(linear.id, 0, all)
    .forEach((v, i) => expect(v).toBeCloseTo(whole.samples.read(linear.id, 0, all)[i], 3));
  whole.samples.close();
  cut.samples.close();
});

test.each([undefined, 20_000])(
  'added rows have what nodes of their own compute, parts of %s bytes',
  async (partBytes) => {
    const model = zooModel('timm_ts_opset17');
    const { graph } = await importModel(model.path);
    const separated = separateOutputRows(graph);
    const added = addedRows(graph);
    const nodes = separated.nodes.filter(({ op }) => op !== 'constant');
    const sampled = nodes.filter(({ id }) => added.has(id));
    expect(sampled.length).toBeGreaterThan(10);
    const request = {
      images: (await zooImages(model)).map(({ pixels }) => pixels),
      normalization: NORMALIZATION,
      statistics: { nodes: new Set(nodes.map(({ id }) => id)), images: 2, histograms: true },
      samples: new Map(sampled.map(({ id, rows }) => [id, (image: number) => Int32Array.of(image % rows)])),
      runtime: { threads: 1, partBytes },
    };
    const computed = await collect({ ...request, graph: separated });
    const taken = await collect({ ...request, graph, notComputed: { added } });
    for (const { id, cols } of nodes) {
      const [one, other] = [computed, taken].map(({ statistics }) => statistics.get(id)!);
      for (const field of ['min', 'max', 'nextMin', 'nextMax', 'sum', 'sumOfSquares'] as const)
        other![field].forEach((value, c) => expect(value, `${id} ${field}`).toBeCloseTo(one![field][c]!, 2));
      expect([other!.images, other!.count, other!.channels]).toEqual([one!.images, one!.count, cols]);
      expect(other!.histogram.reduce((a, b) => a + b)).toBe(one!.count * cols);
    }
    for (const { id, cols } of sampled) {
      const [one, other] = [computed, taken].map(({ samples }) => samples.read(id, 0, 3 * cols));
      other!.forEach((value, i) => expect(value, id).toBeCloseTo(one![i]!, 3));
    }
    computed.samples.close();
    taken.samples.close();
  },
);

test('values that are given take the place of computed ones, wherever the cuts are', async () => {
  const model = zooModel('timm_ts_opset17');
  const { graph } = await importModel(model.path);
  const images = (await zooImages(model)).map(({ pixels }) => pixels);
  const common = {
    graph,
    images,
    normalization: NORMALIZATION,
    statistics: NO_STATISTICS,
    runtime: { threads: 1 },
  };
  const linears = graph.nodes.filter((node) => node.op === 'linear').slice(0, 3);
  const rows = new Map(linears.map((node) => [node.id, () => Int32Array.from({ length: node.rows }, (_, r) => r)]));
  const computed = await collect({ ...common, samples: rows });
  const valueOf = (node: (typeof linears)[number], image: number): Float32Array => {
    const size = node.rows * node.cols;
    return computed.samples.read(node.id, image * size, (image + 1) * size);
  };
  for (const partBytes of [undefined, 20_000]) {
    const same = await collect({
      ...common,
      samples: new Map(),
      runtime: { threads: 1, partBytes },
      notComputed: { given: new Map(linears.map((node) => [node.id, (image: number) => valueOf(node, image)])) },
    });
    same.logits.forEach((logits, i) => logits.forEach((v, c) => expect(v).toBeCloseTo(computed.logits[i][c], 4)));
    // Those of another image.
    const others = await collect({
      ...common,
      samples: new Map(),
      runtime: { threads: 1, partBytes },
      notComputed: {
        given: new Map(linears.map((node) => [node.id, (image: number) => valueOf(node, (image + 1) % 3)])),
      },
    });
    others.logits.forEach((logits, i) =>
      expect(Math.max(...logits.map((v, c) => Math.abs(v - computed.logits[i][c])))).toBeGreaterThan(0.01),
    );
    same.samples.close();
    others.samples.close();
  }
  computed.samples.close();
});
