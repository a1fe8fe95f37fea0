import ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../../src/errors.js';
import { evaluateGraph, importModel } from '../../../src/importer/index.js';
import { encodeModel, floats, ints, noise, random, writeModel, type ModelSpec } from '../../onnx/build.js';

const initializers = {
  'patch.weight': random([8, 3, 4, 4], 3),
  'patch.bias': random([8], 4),
  mean: floats([1, 3, 1, 1], [0.4, 0.5, 0.6]),
  std: floats([1, 3, 1, 1], [0.2, 0.25, 0.3]),
  shape: ints([1, 8, -1]),
};

async function compare(spec: ModelSpec): Promise<Awaited<ReturnType<typeof importModel>>> {
  const imported = await importModel(writeModel(spec));
  const image = noise(3 * 10 * 9, 11);
  const session = await ort.InferenceSession.create(encodeModel(spec), { logSeverityLevel: 4 });
  const { y } = await session.run({ image: new ort.Tensor('float32', image, [1, 3, 10, 9]) });
  evaluateGraph(imported.graph, image).forEach((value, i) => expect(value).toBeCloseTo((y.data as Float32Array)[i], 4));
  return imported;
}

const conv = (attributes: Record<string, readonly number[] | string>, input = 'image'): ModelSpec['nodes'] => [
  { op: 'Conv', in: [input, 'patch.weight', 'patch.bias'], out: ['map'], attributes },
  { op: 'Reshape', in: ['map', 'shape'], out: ['flat'] },
  { op: 'Transpose', in: ['flat'], out: ['y'], attributes: { perm: [0, 2, 1] } },
];

describe('patch embedding', () => {
  test.each([
    ['patches that leave a border out', { strides: [4, 4] }],
    ['overlapping, padded patches', { strides: [3, 2], pads: [1, 2, 0, 1] }],
    ['automatic padding', { strides: [4, 4], auto_pad: 'SAME_UPPER' }],
    ['dilation', { strides: [2, 2], dilations: [2, 1] }],
  ])('%s', async (_, attributes) => {
    const { graph } = await compare({
      inputs: { image: [1, 3, 10, 9] },
      nodes: conv(attributes),
      outputs: ['y'],
      initializers,
    });
    expect(graph.nodes).toMatchObject([{ op: 'patchEmbed', name: 'patch', cols: 8 }]);
  });

  const pad = (sizes: readonly number[], value?: number): ModelSpec => ({
    inputs: { image: [1, 3, 10, 9] },
    nodes: [
      { op: 'Pad', in: ['image', 'sizes', ...(value === undefined ? [] : ['value'])], out: ['padded'] },
      ...conv({ strides: [4, 4], pads: [1, 0, 0, 0] }, 'padded'),
    ],
    outputs: ['y'],
    initializers: { ...initializers, sizes: ints(sizes), ...(value !== undefined && { value: floats([], [value]) }) },
  });

  test.each([
    ['below and to the right', [0, 0, 0, 0, 0, 0, 2, 3], [1, 0, 2, 3]],
    ['on all sides', [0, 0, 1, 2, 0, 0, 3, 1], [2, 2, 3, 1]],
  ])('an image padded %s', async (_, sizes, pads) => {
    const { graph } = await compare(pad(sizes));
    expect(graph.nodes).toMatchObject([{ op: 'patchEmbed', pads }]);
  });

  test.each([['more channels', [0, 1, 0, 0, 0, 0, 0, 0], 0]])(
    'an image padded with %s is refused',
    async (_, sizes, value) => {
      await expect(importModel(writeModel(pad(sizes, value)))).rejects.toThrow(InputError);
    },
  );

  test('an image padded with another value is a map like any other', async () => {
    const { graph } = await compare(pad([0, 0, 0, 0, 0, 0, 2, 3], 1));
    expect(graph.nodes.map((node) => node.op)).toContain('windows');
  });

  test('a normalisation inside the model folds into the weights', async () => {
    const { graph } = await compare({
      inputs: { image: ['batch', 3, 10, 9] },
      nodes: [
        { op: 'Sub', in: ['image', 'mean'], out: ['centred'] },
        { op: 'Div', in: ['centred', 'std'], out: ['normal'] },
        ...conv({ strides: [4, 4] }, 'normal'),
      ],
      outputs: ['y'],
      initializers,
    });
    expect(graph.nodes.map((node) => node.op)).toEqual(['patchEmbed']);
    expect(graph.input.fixed).toEqual({ batch: false, height: true, width: true });
  });
});

describe('the input', () => {
  const model = (inputs: ModelSpec['inputs'], inputType?: number): Promise<unknown> =>
    importModel(writeModel({ inputs, inputType, nodes: conv({ strides: [4, 4] }), outputs: ['y'], initializers }));

  test.each<[string, ModelSpec['inputs'], number | undefined, RegExp]>([
    ['three axes, without the batch of a convolution', { image: [3, 8, 8] }, undefined, /expects 3 channels/],
    ['integers', { image: [1, 3, 8, 8] }, 7, /int64/],
    ['another number of channels', { image: [1, 1, 8, 8] }, undefined, /expects 3 channels/],
    ['an image smaller than a patch', { image: [1, 3, 2, 2] }, undefined, /smaller than the kernel/],
  ])('of %s is refused', async (_, inputs, type, cause) => {
    await expect(model(inputs, type)).rejects.toThrow(cause);
  });

  test('a size that the file leaves open is taken from the options, or refused where it does not fit', async () => {
    const spec: ModelSpec = {
      inputs: { image: [1, 3, 'h', 'w'] },
      nodes: conv({ strides: [4, 4] }),
      outputs: ['y'],
      initializers,
    };
    const { graph } = await importModel(writeModel(spec), { size: [12, 16] });
    expect(graph.input).toMatchObject({ height: 12, width: 16, fixed: { height: false, width: false } });
    const fixed = importModel(writeModel({ ...spec, inputs: { image: [1, 3, 8, 8] } }), { size: [12, 16] });
    await expect(fixed).rejects.toThrow(/made for images of 8×8/);
  });

  test('an open size is found from the position embedding', async () => {
    const spec: ModelSpec = {
      inputs: { image: ['b', 'c', 'h', 'w'] },
      nodes: [
        ...conv({ strides: [4, 4] }).slice(0, 2),
        { op: 'Transpose', in: ['flat'], out: ['x'], attributes: { perm: [0, 2, 1] } },
        { op: 'Add', in: ['x', 'pos'], out: ['y'] },
      ],
      outputs: ['y'],
      initializers: { ...initializers, pos: random([1, 49, 8], 9) },
    };
    const { graph } = await importModel(writeModel(spec));
    expect(graph.input).toMatchObject({ channels: 3, height: 28, width: 28 });
  });
});
