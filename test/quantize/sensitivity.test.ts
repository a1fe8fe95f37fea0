import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluateGraph, importModel } from '../../src/graph/index.js';
import { withOperands } from '../../src/graph/nodes.js';
import type { AttentionNode, ConstantNode, Graph, GraphNode } from '../../src/graph/types.js';
import { DEFAULT_OPTIONS, calibrate, quantizeGraph, sequenceSettings } from '../../src/quantize/index.js';
import { chooseSensitive, measureSensitivities, NOTHING_SENSITIVE } from '../../src/quantize/sensitivity.js';
import { ValueScales, type Target } from '../../src/quantize/value-scales.js';
import { zooImages, zooModel } from '../zoo.js';
import '../build-kernels.js';

const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];

/** The value as its 8-bit codes have it. */
function asCodes(value: Float32Array, { out, scale, center }: Target): Float32Array {
  const cols = scale.length;
  return value.map((v, i) => {
    const units = (x: number, c: number): number => (x - center[c]) / scale[c];
    const row = value.subarray(i - (i % cols), i - (i % cols) + cols);
    const step = out.type === 'rows' ? Math.max(...Array.from(row, (x, c) => Math.abs(units(x, c)))) / 127 || 1 : 1;
    const code = Math.round(units(v, i % cols) / step);
    return Math.max(-128, Math.min(127, code)) * step * scale[i % cols] + center[i % cols];
  });
}

/** The graph in which linear layers and gathers of codes read a constant instead of a node's value. */
function withConstant(graph: Graph, node: GraphNode, value: Float32Array, readers: ReadonlySet<string>): Graph {
  const constant: ConstantNode = { op: 'constant', id: 'rounded', name: 'rounded', rows: node.rows, cols: node.cols, value };
  const nodes = graph.nodes.map((user) => (readers.has(user.id) ? withOperands(user, (id) => (id === node.id ? constant.id : id)) : user));
  return { ...graph, nodes: [constant, ...nodes] };
}

/** Attention with the shift exponential in real numbers, its weights rounded to 8 bits with the kernels' dither, or not at all. */
function shiftAttention(node: AttentionNode, valueOf: (id: string) => Float32Array, rounded: boolean): Float32Array {
  const { queries, keys, dim, valueDim, heads } = node;
  const [q, k, v] = [node.q, node.k, node.v].map(({ source }) => valueOf(source));
  const at = (view: AttentionNode['q'], token: number, h: number): number => (view.rows?.[token] ?? token) * view.stride + view.offset + h * view.headStride;
  const out = new Float32Array(node.rows * node.cols);
  for (let row = 0; row < node.rows; row++) {
    for (let h = 0; h < heads; h++) {
      const window = Math.floor(row / queries);
      const bias = (((window % node.biasBatch) * node.biasHeads + (h % node.biasHeads)) * queries + (row % queries)) * keys;
      const scores = Array.from({ length: keys }, (_, j) => {
        let sum = 0;
        for (let c = 0; c < dim; c++) sum += q[at(node.q, row, h) + c] * k[at(node.k, window * keys + j, h) + c];
        return (sum * node.scale[h] + (node.bias?.[bias + j] ?? 0)) * Math.LOG2E;
      });
      const most = Math.max(...scores);
      const weights = scores.map((x, j) => {
        const whole = Math.floor(most - x);
        const exponential = (1 - (most - x - whole) / 2) * 2 ** -whole;
        const dither = (((27 * (row % queries) + 39 * j) & 63) - 32) / 2 ** 14;
        return rounded ? Math.max(0, Math.floor(255 * (exponential + dither) + 0.5)) : exponential;
      });
      const sum = weights.reduce((a, b) => a + b);
      weights.forEach((w, j) => {
        for (let c = 0; c < valueDim; c++) out[row * node.cols + h * valueDim + c] += (w / sum) * v[at(node.v, window * keys + j, h) + c];
      });
    }
  }
  return out;
}

describe('what 8-bit inputs do to the logits', () => {
  it.each([
    ['hf_vit_eager_ts_opset17', 'static'],
    ['hf_vit_eager_ts_opset17', 'dynamic'],
    ['timm_swin_ts_opset13', 'static'],
  ] as const)('%s, %s scales: is what the logits show with one value rounded', async (name, scaleMode) => {
    const model = zooModel(name);
    const { graph: imported } = await importModel(model.path);
    const zoo = await zooImages(model);
    const images = zoo.map(({ pixels }) => pixels);
    const options = { ...DEFAULT_OPTIONS, effort: 'fast', scales: scaleMode } as const;
    const settings = { ...sequenceSettings(options), fewRows: 0 };
    const calibration = await calibrate({ graph: imported, images, mean: MEAN, std: STD, options }, { images, fitImages: images.length });
    calibration.collected.samples.close();
    const { graph, plan } = calibration;
    const scales = new ValueScales({ ...calibration, statistics: calibration.collected.statistics, settings, sensitive: NOTHING_SENSITIVE });
    const { inputs: sensitivities, softmax, weights } = await measureSensitivities({ ...calibration, scales, settings, images: images.slice(0, 1), runs: 100, mean: MEAN, std: STD, threads: 1 });

    expect(sensitivities.size).toBeGreaterThan(4);
    expect(weights).toBeGreaterThan(0);
    expect(weights).toBeLessThan(0.01);
    const exact = evaluateGraph(graph, zoo[0].normalised);
    const energy = exact.reduce((sum, v) => sum + v * v, 0);
    let seen = 0;
    for (const [id, { error, macs }] of sensitivities) {
      const node = plan.nodes.get(id)!;
      const readers = plan.consumers.get(id)!.filter((user) => user.op === 'linear' || (user.op === 'gather' && plan.form.get(user.id) === 'codes'));
      const layers = readers.flatMap((user) => (user.op === 'linear' ? [user] : plan.consumers.get(user.id)!)).filter((user) => user.op === 'linear');
      expect(macs).toBe(layers.reduce((sum, layer) => sum + (plan.needed.get(layer.id)?.length ?? layer.rows) * layer.cols * layer.inFeatures, 0));
      const value = evaluateGraph({ ...graph, output: id }, zoo[0].normalised);
      const rounded = asCodes(value, scales.target(id, 'codes', layers[0].inFeatures));
      const logits = evaluateGraph(withConstant(graph, node, rounded, new Set(readers.map((user) => user.id))), zoo[0].normalised);
      const wanted = logits.reduce((sum, v, c) => sum + (v - exact[c]) ** 2, 0) / energy;
      expect(wanted).toBeGreaterThan(0);
      // Float32 sums in another order move some values across the border between two codes.
      expect(error / wanted).toBeGreaterThan(0.8);
      expect(error / wanted).toBeLessThan(1.25);
      seen++;
    }
    expect(seen).toBe(sensitivities.size);

    const attentions = graph.nodes.filter((node) => node.op === 'attention');
    let [measured, computed] = [0, 0];
    expect([...softmax.keys()]).toEqual(attentions.map(({ id }) => id));
    for (const node of attentions) {
      const { error, macs } = softmax.get(node.id)!;
      expect(macs).toBe((plan.needed.get(node.id)?.length ?? node.rows) * node.heads * node.keys * node.valueDim);
      const valueOf = (id: string): Float32Array => evaluateGraph({ ...graph, output: id }, zoo[0].normalised);
      const unrounded = shiftAttention(node, valueOf, false);
      const rounding = shiftAttention(node, valueOf, true).map((v, i) => v - unrounded[i]);
      const value = valueOf(node.id).map((v, i) => v + rounding[i]);
      const readers = plan.consumers.get(node.id)!.map(({ id }) => id);
      const logits = evaluateGraph(withConstant(graph, node, value, new Set(readers)), zoo[0].normalised);
      const wanted = logits.reduce((sum, v, c) => sum + (v - exact[c]) ** 2, 0) / energy;
      // Where weights lie near the border between two codes, scores in steps of 2^−10 decide otherwise than real numbers.
      expect(error / wanted).toBeGreaterThan(0.3);
      expect(error / wanted).toBeLessThan(3);
      measured += error;
      computed += wanted;
    }
    expect(measured / computed).toBeGreaterThan(0.6);
    expect(measured / computed).toBeLessThan(1.6);
  });

  it('the inputs that disturb most get 16 bits, and those that the user gives bits to are left alone', async () => {
    const model = zooModel('timm_swin_ts_opset13');
    const { graph } = await importModel(model.path);
    const images = (await zooImages(model)).map(({ pixels }) => pixels);
    const quantized = async (layerBits: typeof DEFAULT_OPTIONS.layerBits) =>
      (await quantizeGraph({ graph, images, mean: MEAN, std: STD, options: { ...DEFAULT_OPTIONS, layerBits } })).layers.filter(({ rows }) => rows > 4);

    const layers = (await quantized([])).filter(({ input }) => input.range !== null);
    const wide = layers.filter(({ inputBits }) => inputBits === 16);
    expect(wide.length).toBeGreaterThan(0);
    const work = ({ rows, inFeatures, outFeatures }: (typeof layers)[number]): number => rows * inFeatures * outFeatures;
    const density = (layer: (typeof layers)[number]): number => layer.input.sensitivity! / work(layer);
    const total = (some: typeof layers): number => some.reduce((sum, layer) => sum + work(layer), 0);
    expect(total(wide)).toBeLessThanOrEqual(0.15 * total(layers));
    expect(Math.max(...wide.map(density))).toBe(Math.max(...layers.map(density)));

    const asked = await quantized([{ pattern: wide[0].name, bits: 8 }]);
    const same = asked.find(({ name }) => name === wide[0].name)!;
    expect(same.inputBits).toBe(8);
    expect(same.input.sensitivity).toBeNull();
    expect((await quantized([{ pattern: '*', bits: 8 }])).every(({ inputBits }) => inputBits === 8)).toBe(true);
  });
});

describe('the choice', () => {
  const values = fc.array(fc.record({ error: fc.double({ min: 0, max: 1, noNaN: true }), macs: fc.integer({ min: 1, max: 1000 }) }), { maxLength: 30 });
  const share = fc.double({ min: 0, max: 0.5, noNaN: true });
  const none = new Map<string, { error: number; macs: number }>();

  it('keeps to the work allowed, and takes nothing that is not worth its work', () => {
    fc.assert(
      fc.property(values, values, fc.double({ min: 0, max: 10, noNaN: true }), share, (list, attentions, weights, most) => {
        const inputs = new Map(list.map((value, i) => [`${i}`, value]));
        const softmax = new Map(attentions.map((value, i) => [`${i}`, value]));
        const sensitive = chooseSensitive({ inputs, softmax, weights }, most);
        const chosen = [...[...sensitive.inputs].map((id) => inputs.get(id)!), ...[...sensitive.softmax].map((id) => softmax.get(id)!)];
        const sum = (some: typeof list, of: 'error' | 'macs'): number => some.reduce((total, value) => total + value[of], 0);
        expect(sum(chosen, 'macs')).toBeLessThanOrEqual(most * sum(list, 'macs'));
        const whole = sum(list, 'error') + sum(attentions, 'error') + weights;
        for (const { error, macs } of chosen) expect(error / whole).toBeGreaterThanOrEqual((0.333 * macs) / sum(list, 'macs'));
      }),
    );
  });

  it('takes what disturbs most for its work first, where it fits', () => {
    const inputs = new Map([
      ['large', { error: 0.6, macs: 100 }],
      ['small', { error: 0.2, macs: 10 }],
      ['dull', { error: 0.05, macs: 600 }],
      ['other', { error: 0.5, macs: 90 }],
    ]);
    const chosen = (weights: number, most: number, softmax = none): string[] => {
      const sensitive = chooseSensitive({ inputs, softmax, weights }, most);
      return [...sensitive.inputs, ...[...sensitive.softmax].map((id) => `softmax of ${id}`)];
    };
    expect(chosen(1, 1)).toEqual(['small', 'large', 'other']);
    expect(chosen(1, 0.14)).toEqual(['small', 'large']);
    expect(chosen(1, 0.125), 'the next that fits').toEqual(['small', 'other']);
    expect(chosen(20, 1), 'beside a large error of weights').toEqual(['small']);
    expect(chosen(1, 0.01)).toEqual([]);
    expect(chosen(1, 0.15, new Map([['small', { error: 0.6, macs: 20 }]])), 'of one work with inputs').toEqual(['small', 'other', 'softmax of small']);
    expect(chooseSensitive({ inputs: none, softmax: none, weights: 0 }, 0.5)).toEqual(NOTHING_SENSITIVE);
  });
});
