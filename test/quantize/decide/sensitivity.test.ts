import { describe, expect, it } from 'vitest';
import { openProducts } from '../../../src/calibrate/products.js';
import { createOpRunner } from '../../../src/engine/runner.js';
import { evaluateGraph, importModel } from '../../../src/importer/index.js';
import { withOperands } from '../../../src/graph/nodes/index.js';
import type { AttentionNode, ConstantNode, Graph, GraphNode, LinearNode } from '../../../src/graph/types.js';
import { DEFAULT_OPTIONS, calibrate, quantizeGraph, resolveScheme } from '../../../src/quantize/index.js';
import { buildProgram, type BuiltProgram } from '../../../src/quantize/build/sequence.js';
import type { Quantization } from '../../../src/quantize/context.js';
import { NOTHING_SENSITIVE } from '../../../src/quantize/decide/bit-widths.js';
import type { Encoding } from '../../../src/quantize/decide/encoding.js';
import { measureSensitivities, NOTHING_MEASURED } from '../../../src/quantize/decide/sensitivity.js';
import { ValueEncodings } from '../../../src/quantize/decide/value-encodings.js';
import { inputSource } from '../../../src/quantize/plan/queries.js';
import type { Scheme } from '../../../src/quantize/schemes/scheme.js';
import { zooImages, zooModel } from '../../zoo.js';
import '../../build-kernels.js';

const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];

/** The value as its 8-bit codes have it. */
function asCodes(value: Float32Array, { out, scale, center }: Encoding): Float32Array {
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
  const constant: ConstantNode = {
    op: 'constant',
    id: 'rounded',
    name: 'rounded',
    rows: node.rows,
    cols: node.cols,
    value,
  };
  const nodes = graph.nodes.map((user) =>
    readers.has(user.id) ? withOperands(user, (id) => (id === node.id ? constant.id : id)) : user,
  );
  return { ...graph, nodes: [constant, ...nodes] };
}

/**
 * Attention with the shift exponential in real numbers, its weights rounded to 8 bits with the kernels' dither, or not
 * at all.
 */
function shiftAttention(node: AttentionNode, valueOf: (id: string) => Float32Array, rounded: boolean): Float32Array {
  const { queries, keys, dim, valueDim, heads } = node;
  const [q, k, v] = [node.q, node.k, node.v].map(({ source }) => valueOf(source));
  const at = (view: AttentionNode['q'], token: number, h: number): number =>
    (view.rows?.[token] ?? token) * view.stride + view.offset + h * view.headStride;
  const out = new Float32Array(node.rows * node.cols);
  for (let row = 0; row < node.rows; row++) {
    for (let h = 0; h < heads; h++) {
      const window = Math.floor(row / queries);
      const bias =
        (((window % node.biasBatch) * node.biasHeads + (h % node.biasHeads)) * queries + (row % queries)) * keys;
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
        for (let c = 0; c < valueDim; c++)
          out[row * node.cols + h * valueDim + c] += (w / sum) * v[at(node.v, window * keys + j, h) + c];
      });
    }
  }
  return out;
}

/** A layer with weights rounded to 8 bits in units of its input's scales, its mean output over all images as it was. */
function withRoundedWeights(layer: LinearNode, inputScale: Float64Array, inputs: readonly Float32Array[]): LinearNode {
  const { cols: N, inFeatures: K } = layer;
  const rows = inputs.reduce((sum, { length }) => sum + length, 0) / K;
  const mean = new Float64Array(K);
  for (const input of inputs) input.forEach((v, i) => (mean[i % K] += v / rows));
  const weight = layer.weight.slice();
  const bias = layer.bias.slice();
  for (let n = 0; n < N; n++) {
    const row = Array.from(layer.weight.subarray(n * K, (n + 1) * K), (w, k) => w * inputScale[k]);
    const step = Math.max(...row.map(Math.abs)) / 127;
    row.forEach((w, k) => {
      weight[n * K + k] = (Math.round(w / step) * step) / inputScale[k];
      bias[n] -= (weight[n * K + k] - layer.weight[n * K + k]) * mean[k];
    });
  }
  return { ...layer, weight, bias };
}

const withFewRows = (scheme: Scheme, fewRows: number): Scheme => ({
  ...scheme,
  techniques: { ...scheme.techniques, fewRows },
});

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
    const scheme = withFewRows(resolveScheme(options), 0);
    const calibration = await calibrate(
      { graph: imported, images, normalization: { mean: MEAN, std: STD }, options },
      { images, fitImages: images.length },
      scheme,
    );
    calibration.collected.samples.close();
    const { graph, plan } = calibration;
    const products = await openProducts(1);
    /** Measured on the first image alone. */
    const quantizationWith = (own: Scheme): Quantization => ({
      calibration: { ...calibration, images: images.slice(0, 1), fitImages: 1 },
      scheme: own,
      encodings: new ValueEncodings(calibration, own, NOTHING_SENSITIVE),
      products,
    });
    const { encodings } = quantizationWith(scheme);
    const {
      inputs: sensitivities,
      softmax,
      weights,
      otherWeights,
      work,
      weightBytes,
    } = await measureSensitivities(quantizationWith(scheme), 100);

    expect(sensitivities.size).toBeGreaterThan(4);
    expect(weights.size, 'all layers have many rows').toBe(0);
    expect(otherWeights).toBeGreaterThan(0);
    expect(otherWeights).toBeLessThan(0.01);
    const linears = graph.nodes.filter((node) => node.op === 'linear');
    expect(work).toBe(
      linears.reduce(
        (sum, layer) => sum + (plan.needed.get(layer.id)?.length ?? layer.rows) * layer.cols * layer.inFeatures,
        0,
      ),
    );
    expect(weightBytes).toBe(
      [...new Set(linears.map(({ weight }) => weight))].reduce((sum, { length }) => sum + length, 0),
    );
    const exact = evaluateGraph(graph, zoo[0].normalised);
    const energy = exact.reduce((sum, v) => sum + v * v, 0);
    let seen = 0;
    for (const [id, { error, macs }] of sensitivities) {
      const node = plan.nodes.get(id)!;
      const readers = plan.consumers
        .get(id)!
        .filter((user) => user.op === 'linear' || (user.op === 'gather' && plan.form.get(user.id) === 'codes'));
      const layers = readers
        .flatMap((user) => (user.op === 'linear' ? [user] : plan.consumers.get(user.id)!))
        .filter((user) => user.op === 'linear');
      expect(macs).toBe(
        layers.reduce(
          (sum, layer) => sum + (plan.needed.get(layer.id)?.length ?? layer.rows) * layer.cols * layer.inFeatures,
          0,
        ),
      );
      const value = evaluateGraph({ ...graph, output: id }, zoo[0].normalised);
      const rounded = asCodes(value, encodings.target(id, 'codes', layers[0].inFeatures));
      const logits = evaluateGraph(
        withConstant(graph, node, rounded, new Set(readers.map((user) => user.id))),
        zoo[0].normalised,
      );
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
      // Where weights lie near the border between two codes, scores in steps of 2^−10 decide otherwise than real
      // numbers.
      expect(error / wanted).toBeGreaterThan(0.3);
      expect(error / wanted).toBeLessThan(3);
      measured += error;
      computed += wanted;
    }
    expect(measured / computed).toBeGreaterThan(0.6);
    expect(measured / computed).toBeLessThan(1.6);

    const finer = quantizationWith(withFewRows(scheme, Infinity));
    const ofWeights = await measureSensitivities(finer, 100);
    await products.close();
    const read = linears.filter(({ id }) => plan.needed.get(id)?.length !== 0);
    expect([...ofWeights.weights.keys()], 'all layers have few rows').toEqual(read.map(({ id }) => id));
    expect(ofWeights.inputs.size).toBe(0);
    expect(ofWeights.otherWeights).toBe(0);
    for (const layer of read) {
      const { error, macs, bytes } = ofWeights.weights.get(layer.id)!;
      expect(bytes).toBe(layer.weight.length / 2);
      expect(macs).toBeGreaterThan((plan.needed.get(layer.id)?.length ?? layer.rows) * layer.weight.length);
      const codes = finer.encodings.target(inputSource(plan, layer.x), 'codes', layer.inFeatures);
      const rounded = withRoundedWeights(
        layer,
        codes.scale,
        zoo.map(({ normalised }) => evaluateGraph({ ...graph, output: layer.x }, normalised)),
      );
      const logits = evaluateGraph(
        { ...graph, nodes: graph.nodes.map((node) => (node === layer ? rounded : node)) },
        zoo[0].normalised,
      );
      const wanted = logits.reduce((sum, v, c) => sum + (v - exact[c]) ** 2, 0) / energy;
      // A class token that no image has changed yet has its mean error alone, which the bias takes back.
      if (wanted < 1e-10) expect(error).toBeLessThan(1e-10);
      else expect(Math.abs(error / wanted - 1)).toBeLessThan(0.05);
    }
  });

  it('what is known of inputs is not measured again for weights of other bits', async () => {
    const model = zooModel('hf_vit_eager_ts_opset17');
    const { graph } = await importModel(model.path);
    const images = (await zooImages(model)).map(({ pixels }) => pixels);
    const products = await openProducts(1);
    const split = { images: images.slice(0, 2), fitImages: 2 };
    const measured = async (weightBits: 4 | 8, errors: Map<string, number>) => {
      const options = { ...DEFAULT_OPTIONS, weightBits };
      const scheme = resolveScheme(options);
      const request = { graph, images, normalization: { mean: MEAN, std: STD }, options };
      const runs = { errors, pass: () => undefined, keepPass: () => undefined };
      const calibration = await calibrate(request, split, scheme, { runs });
      calibration.collected.samples.close();
      const encodings = new ValueEncodings(calibration, resolveScheme(DEFAULT_OPTIONS), NOTHING_SENSITIVE);
      let total = 0;
      const result = await measureSensitivities(
        { calibration, scheme, encodings, products },
        64,
        (_, all) => (total = all),
      );
      return { result, total };
    };
    const known = new Map<string, number>();
    const eight = await measured(8, known);
    const four = await measured(4, known);
    expect([eight.total, four.total]).toEqual([known.size - 2, 0].map((runs) => runs * split.fitImages));
    expect(four.result.inputs).toEqual(eight.result.inputs);
    expect(four.result.softmax).toEqual(eight.result.softmax);
    expect(four.result.weights.size).toBe(0); // only what has 8 bits may have more
    expect(four.result.otherWeights).toBeGreaterThan(eight.result.otherWeights);
    expect((await measured(4, new Map())).result).toEqual(four.result);
    expect((await measured(8, known)).result).toEqual(eight.result);
    await products.close();
  });

  it('the inputs that disturb most get 16 bits, and those that the user gives bits to are left alone', async () => {
    const model = zooModel('timm_swin_ts_opset13');
    const { graph } = await importModel(model.path);
    const images = (await zooImages(model)).map(({ pixels }) => pixels);
    const quantized = async (layerBits: typeof DEFAULT_OPTIONS.layerBits) =>
      (
        await quantizeGraph({
          graph,
          images,
          normalization: { mean: MEAN, std: STD },
          options: { ...DEFAULT_OPTIONS, layerBits },
        })
      ).layers.filter(({ rows }) => rows > 4);

    const layers = (await quantized([])).filter(({ input }) => input.range !== null);
    const wide = layers.filter(({ inputBits }) => inputBits === 16);
    expect(wide.length).toBeGreaterThan(0);
    const work = ({ rows, inFeatures, outFeatures }: (typeof layers)[number]): number =>
      rows * inFeatures * outFeatures;
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

describe('weights of 12 bits', () => {
  it.each(['static', 'dynamic'] as const)(
    'are two ops, the second of which adds to the first (%s scales)',
    async (scaleMode) => {
      const model = zooModel('timm_ts_opset16');
      const { graph } = await importModel(model.path);
      const images = (await zooImages(model)).map(({ pixels }) => pixels);
      const options = { ...DEFAULT_OPTIONS, scales: scaleMode };
      const scheme = resolveScheme(options);
      const request = { graph, images, normalization: { mean: MEAN, std: STD }, options };
      const split = { images: [...images, ...images], fitImages: images.length };
      const calibration = await calibrate(request, split, scheme);
      const { plan, collected } = calibration;
      const runner = await createOpRunner();
      const products = await openProducts(1);
      const quantized = (weights: readonly LinearNode[]) => {
        const sensitive = { ...NOTHING_SENSITIVE, weights: new Set(weights.map(({ id }) => id)) };
        const encodings = new ValueEncodings(calibration, scheme, sensitive);
        return buildProgram({ calibration, scheme, encodings, products, sensitivities: NOTHING_MEASURED, runner });
      };
      try {
        const few = calibration.graph.nodes
          .filter((node) => node.op === 'linear')
          .filter((node) => (plan.needed.get(node.id)?.length ?? node.rows) === 1);
        expect(few.length).toBeGreaterThan(10);
        const [coarse, fine] = [await quantized([]), await quantized(few)];
        expect(coarse.layers.every(({ weightBits }) => weightBits === 8)).toBe(true);
        expect(fine.layers.filter(({ weightBits }) => weightBits === 12).map(({ name }) => name)).toEqual(
          few.map(({ name }) => name),
        );
        for (const [i, first] of fine.program.ops.entries()) {
          if (first.op !== 'linear' || first.name.endsWith('.second')) continue;
          if (few.some(({ name }) => name === first.name)) {
            expect(first).toMatchObject({ weightBits: 8, out: { type: 'i32' } });
            expect(fine.program.ops[i + 1]).toMatchObject({
              op: 'linear',
              name: `${first.name}.second`,
              x: first.x,
              residual: i + 1,
              rows: first.rows,
              weightBits: 4,
              out: { type: 'i32' },
            });
          } else {
            expect(fine.program.ops[i + 1].name).not.toBe(`${first.name}.second`);
          }
        }
        // Of later layers, what else there is hides the weights' error.
        const first = ({ layers }: BuiltProgram): number => layers.find(({ name }) => name === few[0].name)!.sqnrDb;
        expect(first(fine)).toBeGreaterThan(first(coarse) + 5);
      } finally {
        collected.samples.close();
        await products.close();
        runner.close();
      }
    },
  );

  it('are for what is sensitive where 8 are asked for, and for nothing where fewer are', async () => {
    const model = zooModel('hf_vit_eager_ts_opset17');
    const { graph } = await importModel(model.path);
    const images = (await zooImages(model)).map(({ pixels }) => pixels);
    const quantized = async (weightBits: 6 | 8) =>
      (
        await quantizeGraph({
          graph,
          images,
          normalization: { mean: MEAN, std: STD },
          options: { ...DEFAULT_OPTIONS, weightBits },
        })
      ).layers;
    const finer = (await quantized(8)).filter(({ weightBits }) => weightBits === 12);
    expect(finer.length).toBeGreaterThan(0);
    expect(finer.every(({ weightSensitivity }) => weightSensitivity! > 0)).toBe(true);
    expect(
      (await quantized(6)).every(({ weightBits, weightSensitivity }) => weightBits === 6 && weightSensitivity === null),
    ).toBe(true);
  });
});
