import ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { evaluateGraph, importModel } from '../../src/importer/index.js';
import { nodesOf } from '../onnx/graph-builder.js';
import { encodeModel, floats, ints, noise, random, writeModel, type ModelSpec, type NodeSpec } from '../onnx/build.js';

const CHANNELS = 8;
const BATCH = 3;

/** A stem for a batch that is fixed; `nodes` read `x`, [batch, 4, channels], and write `y`. */
function fixedBatch(nodes: readonly NodeSpec[], extra: ModelSpec['initializers'] = {}): ModelSpec {
  return {
    inputs: { image: [BATCH, 3, 8, 8] },
    nodes: [
      {
        op: 'Conv',
        in: ['image', 'patch.weight', 'patch.bias'],
        out: ['map'],
        attributes: { kernel_shape: [4, 4], strides: [4, 4] },
      },
      { op: 'Reshape', in: ['map', 'map.shape'], out: ['flat'] },
      { op: 'Transpose', in: ['flat'], out: ['x'], attributes: { perm: [0, 2, 1] } },
      ...nodes,
    ],
    outputs: ['y'],
    initializers: {
      'patch.weight': random([CHANNELS, 3, 4, 4], 3),
      'patch.bias': random([CHANNELS], 4),
      'map.shape': ints([BATCH, CHANNELS, 4]),
      ...extra,
    },
  };
}

async function expectFirstImage(spec: ModelSpec): Promise<void> {
  const { graph, notices, isPlain } = await importModel(writeModel(spec));
  expect(notices[0]).toMatch(/fixed batch of 3.*do not mix/);
  expect(isPlain).toBe(false);
  const images = noise(BATCH * 3 * 8 * 8, 5);
  const session = await ort.InferenceSession.create(encodeModel(spec));
  const { y } = await session.run({ image: new ort.Tensor('float32', images, [BATCH, 3, 8, 8]) });
  const actual = evaluateGraph(graph, images.subarray(0, 3 * 8 * 8));
  expect(actual.length * BATCH).toBe(y.size);
  actual.forEach((value, i) => expect(value).toBeCloseTo((y.data as Float32Array)[i], 4));
}

describe('a fixed batch is taken as one image', () => {
  // Pixtral's: all tokens are one sequence, and a mask tells the images apart.
  const ofAllTokens = nodesOf(`
    q = Reshape(x, sequence)
    k = Transpose(q; perm=[0, 2, 1])
    raw = MatMul(q, k)
    scaled = Mul(raw, scale)
    scores = Add(scaled, hides)
    p = Softmax(scores; axis=-1)
    a = MatMul(p, q)
    y = Reshape(a, images)
  `);
  const tokens = 4 * BATCH;
  const hiding = (other: number): ModelSpec['initializers'] => ({
    sequence: ints([1, tokens, CHANNELS]),
    images: ints([BATCH, 4, CHANNELS]),
    scale: floats([], [0.3]),
    hides: floats(
      [1, tokens, tokens],
      Float32Array.from({ length: tokens ** 2 }, (_, i) =>
        Math.floor(i / tokens / 4) === Math.floor((i % tokens) / 4) ? (i % 3) / 2 : other,
      ),
    ),
  });

  test('attention over the tokens of all, where a mask hides those of other images', async () => {
    await expectFirstImage(fixedBatch(ofAllTokens, hiding(-Infinity)));
    const hidden = await importModel(writeModel(fixedBatch(ofAllTokens, hiding(-3.4e38))));
    expect(hidden.graph.nodes.find(({ op }) => op === 'attention')).toMatchObject({ queries: 4, keys: 4 });
  });

  test('attention over the tokens of all, where other images count, is refused', async () => {
    const file = writeModel(fixedBatch(ofAllTokens, hiding(-5)));
    await expect(importModel(file)).rejects.toThrow(/computed with each other/);
  });

  test('a class token for each image, heads in the batch axis, a mean', async () => {
    await expectFirstImage(
      fixedBatch(
        [
          { op: 'Concat', in: ['cls', 'x'], out: ['t'], attributes: { axis: 1 } },
          { op: 'Reshape', in: ['t', 'split'], out: ['s'] },
          { op: 'Transpose', in: ['s'], out: ['h'], attributes: { perm: [0, 2, 1, 3] } },
          { op: 'Reshape', in: ['h', 'heads'], out: ['q'] },
          { op: 'Transpose', in: ['q'], out: ['k'], attributes: { perm: [0, 2, 1] } },
          { op: 'MatMul', in: ['q', 'k'], out: ['scores'] },
          { op: 'Softmax', in: ['scores'], out: ['p'], attributes: { axis: -1 } },
          { op: 'MatMul', in: ['p', 'q'], out: ['a'] },
          { op: 'ReduceMean', in: ['a'], out: ['y'], attributes: { axes: [1], keepdims: 0 } },
        ],
        {
          cls: { ...random([BATCH, 1, CHANNELS], 9) },
          split: ints([BATCH, 5, 2, 4]),
          heads: ints([BATCH * 2, 5, 4]),
        },
      ),
    );
  });

  test('tokens first, images second', async () => {
    await expectFirstImage(
      fixedBatch([
        { op: 'Transpose', in: ['x'], out: ['t'], attributes: { perm: [1, 0, 2] } },
        { op: 'ReduceMean', in: ['t'], out: ['y'], attributes: { axes: [0], keepdims: 0 } },
      ]),
    );
  });

  test.each<[string, string, ModelSpec['initializers']]>([
    [
      'tokens of all images in turn in one axis, as torch’s attention has them',
      `t = Transpose(x; perm=[1, 0, 2])
       r = Reshape(t, inTurn)
       l = MatMul(r, w)
       a = Add(l, each)
       u = Reshape(a, apart)
       y = Transpose(u; perm=[1, 0, 2])`,
      {
        inTurn: ints([4 * BATCH, CHANNELS]),
        w: random([CHANNELS, CHANNELS], 9),
        each: random([CHANNELS], 10),
        apart: ints([4, BATCH, CHANNELS]),
      },
    ],
    [
      'a convolution of parts of each image',
      `r = Reshape(x, parts)
       f = Conv(r, w; kernel_shape=[3, 3], pads=[1, 1, 1, 1])
       y = Reshape(f, whole)`,
      { parts: ints([BATCH * 2, 4, 2, 2]), w: random([4, 4, 3, 3], 9), whole: ints([BATCH, 32]) },
    ],
    [
      'transposed convolutions',
      `m = Reshape(x, maps)
       u = ConvTranspose(m, w2; kernel_shape=[2, 2], strides=[2, 2])
       y = ConvTranspose(u, w3; kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])`,
      { maps: ints([BATCH, CHANNELS, 2, 2]), w2: random([CHANNELS, 5, 2, 2], 9), w3: random([5, 4, 3, 3], 10) },
    ],
  ])('%s', async (_, steps, initializers) => {
    await expectFirstImage(fixedBatch(nodesOf(steps), initializers));
  });

  test.each<[string, NodeSpec]>([
    ['their mean', { op: 'ReduceMean', in: ['x'], out: ['y'], attributes: { axes: [0], keepdims: 1 } }],
    ['a part of two of them', { op: 'Slice', in: ['x', 'from', 'to', 'axis'], out: ['y'] }],
  ])('refused where images mix: %s', async (_, node) => {
    const spec = fixedBatch([node], { from: ints([1]), to: ints([3]), axis: ints([0]) });
    await expect(importModel(writeModel(spec))).rejects.toThrow(/computed with each other/);
  });
});
