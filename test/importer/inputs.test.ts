import ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { importModel } from '../../src/importer/index.js';
import { ints, random, writeModel, type ModelSpec, type NodeSpec } from '../onnx/build.js';
import { importAndRun, interleaved, planar } from './float-file.js';

const initializers = {
  'patch.weight': random([8, 3, 4, 4], 3),
  'patch.bias': random([8], 4),
  'linear.weight': random([48, 8], 5),
  'linear.bias': random([8], 6),
  gamma: random([48], 7),
  beta: random([48], 8),
  flat: ints([1, 8, 6]),
  cut: ints([1, 3, 2, 4, 3, 4]),
  cutBatchLess: ints([3, 2, 4, 12]),
  rows: ints([1, 6, 48]),
  bgr: ints([2, 1, 0]),
  minus: ints([-1]),
  least: ints([-9]),
  one: ints([1]),
};

const conv = (input: string): NodeSpec[] => [
  { op: 'Conv', in: [input, 'patch.weight', 'patch.bias'], out: ['map'], attributes: { strides: [4, 4] } },
  { op: 'Reshape', in: ['map', 'flat'], out: ['cols'] },
  { op: 'Transpose', in: ['cols'], out: ['y'], attributes: { perm: [0, 2, 1] } },
];

const linear = (input: string): NodeSpec[] => [
  { op: 'MatMul', in: [input, 'linear.weight'], out: ['product'] },
  { op: 'Add', in: ['linear.bias', 'product'], out: ['y'] },
];

const model = (nodes: readonly NodeSpec[], inputs: ModelSpec['inputs'] = { image: [1, 3, 8, 12] }): string =>
  writeModel({ inputs, nodes, outputs: ['y'], initializers });

const planes = (image: Float32Array, shape: readonly [number, number, number]): Record<string, ort.Tensor> => ({
  image: planar(image, shape),
});

/** Patches of 4×4 of an image of 8×12, as rows of 48; `perm` puts the axes (1, c, gy, py, gx, px) in order. */
const cut = (perm: readonly number[]): NodeSpec[] => [
  { op: 'Reshape', in: ['image', 'cut'], out: ['parts'] },
  { op: 'Transpose', in: ['parts'], out: ['moved'], attributes: { perm } },
  { op: 'Reshape', in: ['moved', 'rows'], out: ['patches'] },
];

describe('patches cut by reshapes and a linear layer are the equal convolution', () => {
  test.each([
    ['channels last, as einops writes', [0, 2, 4, 3, 5, 1]],
    ['channels first, as unfold writes', [0, 2, 4, 1, 3, 5]],
    ['column by column', [0, 4, 2, 3, 5, 1]],
  ])('%s', async (_, perm) => {
    const { graph } = await importAndRun(model([...cut(perm), ...linear('patches')]), planes);
    expect(graph.nodes.find(({ op }) => op === 'patchEmbed')).toMatchObject({ kernel: [4, 4], stride: [4, 4] });
    expect(graph.nodes.every(({ op }) => op === 'patchEmbed' || op === 'gather')).toBe(true);
  });

  test('a normalisation between the image and the patches', async () => {
    const nodes: NodeSpec[] = [
      { op: 'Mul', in: ['image', 'third'], out: ['scaled'] },
      { op: 'Add', in: ['scaled', 'third'], out: ['normal'] },
      { op: 'Reshape', in: ['normal', 'cut'], out: ['parts'] },
      ...cut([0, 2, 4, 3, 5, 1]).slice(1),
      ...linear('patches'),
    ];
    const third = random([1, 3, 1, 1], 9);
    const file = writeModel({
      inputs: { image: [1, 3, 8, 12] },
      nodes,
      outputs: ['y'],
      initializers: { ...initializers, third },
    });
    const { graph } = await importAndRun(file, planes);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['patchEmbed']);
  });

  test('a LayerNorm over the pixels of a patch is kept', async () => {
    const nodes: NodeSpec[] = [
      ...cut([0, 2, 4, 3, 5, 1]),
      { op: 'LayerNormalization', in: ['patches', 'gamma', 'beta'], out: ['normal'] },
      ...linear('normal'),
    ];
    const { graph } = await importAndRun(model(nodes), planes);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['patchEmbed', 'layerNorm', 'linear']);
  });

  test('rows that are no patches are gathered from the pixels', async () => {
    const strips: NodeSpec[] = [
      { op: 'Reshape', in: ['image', 'cutBatchLess'], out: ['parts'] },
      { op: 'Reshape', in: ['parts', 'rows'], out: ['patches'] },
    ];
    const { graph } = await importAndRun(model([...strips, ...linear('patches')]), planes);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['patchEmbed', 'gather', 'linear']);
    expect(graph.nodes[0]).toMatchObject({ kernel: [1, 1], rows: 96, cols: 3 });
  });
});

describe('how the image lies', () => {
  test.each<[string, NodeSpec]>([
    ['a gather', { op: 'Gather', in: ['image', 'bgr'], out: ['turned'], attributes: { axis: 1 } }],
    ['a backward slice', { op: 'Slice', in: ['image', 'minus', 'least', 'one', 'minus'], out: ['turned'] }],
  ])('channels reversed by %s', async (_, node) => {
    const { graph } = await importAndRun(model([node, ...conv('turned')]), planes);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['patchEmbed']);
  });

  const moved: NodeSpec = { op: 'Transpose', in: ['image'], out: ['nchw'], attributes: { perm: [0, 3, 1, 2] } };

  test.each<[string, readonly (number | string)[]]>([
    ['of fixed size', [1, 8, 12, 3]],
    ['of open batch', ['n', 8, 12, 3]],
    ['open but for its channels', ['n', 'h', 'w', 3]],
    ['wholly open', ['n', 'h', 'w', 'c']],
  ])('channels last, %s', async (_, shape) => {
    const { graph, isPlain } = await importModel(model([moved, ...conv('nchw')], { image: shape }), { size: [8, 12] });
    expect(graph.input).toMatchObject({ channels: 3, height: 8, width: 12 });
    expect(isPlain).toBe(false);
    await importAndRun(model([moved, ...conv('nchw')], { image: [1, 8, 12, 3] }), (image, size) => ({
      image: interleaved(image, size, false),
    }));
  });

  test.each([
    ['a cast, then a transposition', ['Cast', 'Transpose']],
    ['a transposition, then a cast', ['Transpose', 'Cast']],
  ])('bytes: %s', async (_, [first, second]) => {
    const attributes = (op: string): NodeSpec['attributes'] => (op === 'Cast' ? { to: 1 } : { perm: [0, 3, 1, 2] });
    const nodes: NodeSpec[] = [
      { op: first, in: ['image'], out: ['a'], attributes: attributes(first) },
      { op: second, in: ['a'], out: ['b'], attributes: attributes(second) },
      ...conv('b'),
    ];
    const file = writeModel({ inputs: { image: [1, 8, 12, 3] }, inputType: 2, nodes, outputs: ['y'], initializers });
    const { graph, notices } = await importAndRun(file, (image, size) => ({ image: interleaved(image, size, true) }));
    expect(graph.input.isInteger).toBe(true);
    expect(notices[0]).toMatch(/0 to 255/);
  });
});

describe('an input without a batch, or without a shape', () => {
  const batched: NodeSpec = { op: 'Unsqueeze', in: ['chw', 'zero'], out: ['batch'] };

  test('[3, height, width]', async () => {
    const nodes = [{ ...batched, in: ['image', 'zero'] }, ...conv('batch')];
    const file = writeModel({
      inputs: { image: [3, 8, 12] },
      nodes,
      outputs: ['y'],
      initializers: { ...initializers, zero: ints([0]) },
    });
    const { graph } = await importAndRun(file, (image, [c, h, w]) => ({
      image: new ort.Tensor('float32', planar(image, [c, h, w]).data as Float32Array, [c, h, w]),
    }));
    expect(graph.input).toMatchObject({ channels: 3, height: 8, width: 12 });
  });

  test('[1, height, width], which gets its batch in the graph', async () => {
    const file = writeModel({
      inputs: { image: [1, 8, 12] },
      nodes: [{ ...batched, in: ['image', 'zero'] }, ...conv('batch')],
      outputs: ['y'],
      initializers: { ...initializers, 'patch.weight': random([8, 1, 4, 4], 3), zero: ints([0]) },
    });
    const { graph } = await importAndRun(file, (image, [c, h, w]) => ({
      image: new ort.Tensor('float32', planar(image, [c, h, w]).data as Float32Array, [c, h, w]),
    }));
    expect(graph.input).toMatchObject({ channels: 1, height: 8, width: 12 });
  });

  test('[1, tokens, channels] is no image', async () => {
    await expect(importModel(model(linear('image'), { image: [1, 6, 48] }))).rejects.toThrow(/is no image/);
  });

  test('[height, width, 3]', async () => {
    const turned: NodeSpec = { op: 'Transpose', in: ['image'], out: ['chw'], attributes: { perm: [2, 0, 1] } };
    const file = writeModel({
      inputs: { image: [8, 12, 3] },
      nodes: [turned, batched, ...conv('batch')],
      outputs: ['y'],
      initializers: { ...initializers, zero: ints([0]) },
    });
    const { graph } = await importAndRun(file, (image, [c, h, w]) => ({
      image: new ort.Tensor('float32', interleaved(image, [c, h, w], false).data as Float32Array, [h, w, c]),
    }));
    expect(graph.input).toMatchObject({ channels: 3, height: 8, width: 12 });
  });

  test('no shape at all: channels follow from the filters, the size is asked for', async () => {
    const { graph, notices } = await importModel(model(conv('image'), { image: null }), { size: [8, 12] });
    expect(graph.input).toMatchObject({ channels: 3, height: 8, width: 12, fixed: { height: false, width: false } });
    expect(notices.join()).not.toMatch(/image size/);
  });

  test('a size that nothing in the file says comes with a notice', async () => {
    const nodes: NodeSpec[] = [
      { op: 'Conv', in: ['image', 'grey.weight'], out: ['map'], attributes: { strides: [4, 4] } },
      { op: 'GlobalAveragePool', in: ['map'], out: ['y'] },
    ];
    const { graph, notices } = await importModel(
      writeModel({
        inputs: { image: ['b', 'c', 'h', 'w'] },
        nodes,
        outputs: ['y'],
        initializers: { 'grey.weight': random([8, 1, 4, 4], 3) },
      }),
    );
    expect(graph.input).toMatchObject({ channels: 1, height: 224, width: 224 });
    expect(notices).toContainEqual(expect.stringMatching(/leaves the image size open.*224×224/));
  });

  test('no size is guessed at which one patch is repeated over the position embedding', async () => {
    const nodes: NodeSpec[] = [
      { op: 'Conv', in: ['image', 'patch.weight'], out: ['map'], attributes: { strides: [4, 4] } },
      { op: 'Reshape', in: ['map', 'rows'], out: ['flat'] },
      { op: 'Transpose', in: ['flat'], out: ['x'], attributes: { perm: [0, 2, 1] } },
      { op: 'Add', in: ['x', 'position'], out: ['p'] },
      { op: 'Concat', in: ['registers', 'p'], out: ['y'], attributes: { axis: 1 } },
    ];
    const { graph } = await importModel(
      writeModel({
        inputs: { image: ['b', 3, 'h', 'w'] },
        nodes,
        outputs: ['y'],
        initializers: {
          'patch.weight': random([8, 3, 4, 4], 3),
          registers: random([1, 3, 8], 4),
          position: random([1, 9, 8], 5),
          rows: ints([1, 8, -1]),
        },
      }),
    );
    expect(graph.input).toMatchObject({ height: 12, width: 12 });
  });
});
