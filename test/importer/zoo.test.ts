import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/errors.js';
import { describeGraph, evaluateAll, evaluateGraph, graphToOnnx, importModel } from '../../src/importer/index.js';
import type { Graph } from '../../src/graph/types.js';
import { classifierOf, outputOf } from '../../src/metrics/output.js';
import { badNames, badPath, zooImages, zooModel, zooNames } from '../zoo.js';

/** What the graph gives of the output that classifies, or of its only one. */
function scoresOf(graph: Graph, image: Float32Array): Float32Array {
  return outputOf(evaluateGraph(graph, image), classifierOf(graph.outputs) ?? graph.outputs[0]);
}

/** Largest difference, relative to the largest expected value. */
function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    difference = Math.max(difference, Math.abs(actual[i] - expected[i]));
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  return difference / largest;
}

describe('every model of the zoo', () => {
  test.each(zooNames)('%s computes its expected logits', async (name) => {
    const model = zooModel(name);
    const { graph } = await importModel(model.path);
    const [first] = await zooImages(model);
    expect(relativeError(scoresOf(graph, first.normalised), model.logits[0])).toBeLessThan(1e-3);
    expect(graph.input).toMatchObject({
      name: model.input.name,
      height: model.input.shape[2],
      width: model.input.shape[3],
    });
    const names = new Set(graph.nodes.map((node) => node.name));
    expect(names.size).toBe(graph.nodes.length);
  });
});

describe('written back as ONNX', () => {
  test.each([
    'timm_swin_pad_ts_opset17',
    'timm_swinv2_ts_opset17',
    'timm_qknorm_dynamo_opset20',
    'timm_map_ts_opset17',
    'hf_beit_ts_opset17',
    'hf_clip_dynamo_opset20',
  ])('%s gives every node’s value', async (name) => {
    const model = zooModel(name);
    const { graph } = await importModel(model.path);
    const [image] = await zooImages(model);
    const ids = graph.nodes.map((node) => node.id);
    const session = await ort.InferenceSession.create(graphToOnnx(graph, ids), { logSeverityLevel: 3 });
    const out = await session.run({
      [graph.input.name]: new ort.Tensor('float32', image.normalised, model.input.shape),
    });
    const values = evaluateAll(graph, image.normalised);
    for (const node of graph.nodes) {
      expect(out[node.id].dims).toEqual([node.rows, node.cols]);
      expect(relativeError(out[node.id].data as Float32Array, values.get(node.id)!), node.id).toBeLessThan(1e-4);
    }
  });
});

/** What each refusal must name. */
const CAUSES: Readonly<Record<string, RegExp>> = {
  cycle: /cycle/,
  data_escapes: /outside the model's folder/,
  data_missing: /data_missing\.onnx\.data is not there/,
  data_offset: /beyond the end/,
  gpt: /text model/,
  head_shape: /Gemm.*shapes/s,
  huge_dims: /too many elements/,
  jpeg: /JPEG/,
  nan_weights: /NaN/,
  no_output: /no output/,
  raw_short: /holds 24512 bytes/,
  truncated: /truncated/,
  unknown_domain: /FancySoftmax.*com\.example\.custom/s,
  weight_absent: /nowhere in the file/,
  zero: /empty/,
};

describe('bad files', () => {
  test.each(badNames.filter((name) => name in CAUSES))('%s is refused with its cause', async (name) => {
    const refusal = await importModel(badPath(name)).then(
      () => null,
      (error: unknown) => error,
    );
    expect(refusal).toBeInstanceOf(InputError);
    expect((refusal as Error).message).toMatch(CAUSES[name]);
  });
});

const shared = path.resolve(import.meta.dirname, '../../../shared');

describe.skipIf(!existsSync(path.join(shared, 'zoo')))('the unrounded originals', () => {
  const folder = path.join(shared, 'zoo');
  const names = existsSync(folder)
    ? readdirSync(folder).flatMap((file) => (file.endsWith('.onnx') ? [file.slice(0, -5)] : []))
    : [];
  test.each(names)('%s computes PyTorch’s logits', async (name) => {
    const info = JSON.parse(readFileSync(path.join(folder, `${name}.json`), 'utf8')) as {
      cases: { x: string; y: string }[];
    };
    const floats = (base64: string): Float32Array =>
      new Float32Array(new Uint8Array(Buffer.from(base64, 'base64')).buffer);
    const { graph } = await importModel(path.join(folder, `${name}.onnx`));
    const { x, y } = info.cases[1];
    expect(relativeError(scoresOf(graph, floats(x)), floats(y))).toBeLessThan(1e-3);
  });
});

describe.skipIf(!existsSync(path.join(shared, 'data')))('DeiT-Tiny', () => {
  test('has 1.25 G multiply-accumulates and 5.7 M parameters', async () => {
    const { graph, parameters } = await importModel(path.join(shared, 'data/deit_tiny_patch16_224.onnx'));
    const description = describeGraph(graph);
    // 28.9 M patches + 12 · (87.1 M linear + 14.9 M attention) + 0.2 M head
    expect(description.macs).toBe(1_253_683_200);
    expect(parameters).toBe(5_717_416);
    expect(description).toMatchObject({ embedDim: 192, depth: 12, patch: [16, 16], tokens: 197, classes: 1000 });
    expect(new Set(description.heads)).toEqual(new Set([3]));
    expect(description.layers.map((layer) => layer.name)).toContain('blocks.11.mlp.fc2');
  });
});
