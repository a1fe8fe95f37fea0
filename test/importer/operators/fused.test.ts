import { describe, expect, test } from 'vitest';
import { evaluateGraph, type Graph } from '../../../src/importer/index.js';
import { floats, ints, noise, random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { compareOnMap, MAP_CHANNELS } from '../idioms/map-stem.js';
import { CHANNELS, importAndCompare, opsOf, TOKENS } from '../idioms/stem.js';

const filters = random([MAP_CHANNELS, MAP_CHANNELS, 3, 3], 7);
const window = 'kernel_shape=[3, 3], pads=[1, 1, 1, 1]';

describe('ONNX Runtime’s fused operators', () => {
  test.each([
    ['activation="Relu"', ['windows', 'activation']],
    ['activation="LeakyRelu", activation_params=[0.25f]', ['windows', 'lookup']],
    ['activation="Clip", activation_params=[-0.5f, 0.5f]', ['windows', 'lookup']],
    ['activation="HardSigmoid", activation_params=[0.3f, 0.6f]', ['windows', 'lookup']],
  ])('FusedConv with %s', async (attributes, ops) => {
    const { nodes } = await compareOnMap({
      steps: `y = com.microsoft.FusedConv(m, w, b; ${window}, ${attributes})`,
      initializers: { w: filters, b: random([MAP_CHANNELS], 8) },
    });
    expect(opsOf(nodes)).toEqual(expect.arrayContaining(ops));
  });

  test('FusedConv adds a map before the activation', async () => {
    const { nodes } = await compareOnMap({
      steps: `y = com.microsoft.FusedConv(m, w, b, m; ${window}, activation="Relu")`,
      initializers: { w: filters, b: random([MAP_CHANNELS], 8) },
    });
    expect(opsOf(nodes)).toContain('add');
  });

  test.each(['"Relu"', '"LeakyRelu", activation_alpha=0.2f'])('FusedGemm with %s', async (named) => {
    await importAndCompare({
      nodes: nodesOf(`
        f = Reshape(x, rows)
        y = com.microsoft.FusedGemm(f, w, b; transB=1, activation=${named})
      `),
      initializers: { rows: ints([TOKENS, CHANNELS]), w: random([5, CHANNELS], 5), b: random([5], 6) },
    });
  });

  test('an activation that is not known is refused', async () => {
    const refused = compareOnMap({
      steps: `y = com.microsoft.FusedConv(m, w; ${window}, activation="Fancy")`,
      initializers: { w: filters },
    });
    await expect(refused).rejects.toThrow(/Fancy is not known; optimise the model at ORT_ENABLE_BASIC/);
  });

  test('ExpandDims, Pad', async () => {
    await importAndCompare({
      nodes: nodesOf(`
        at = Cast(at64; to=6)
        e = com.microsoft.ExpandDims(x, at)
        y = com.microsoft.Pad(e, pads)
      `),
      initializers: { at64: ints([-1], []), pads: ints([0, 1, 0, 0, 0, 0, 1, 0]) },
    });
  });
});

/** Operators that ONNX Runtime has for graphics processors alone, beside what they stand for. */
describe('of graphics processors', () => {
  const norm = { gamma: random([MAP_CHANNELS], 7), beta: random([MAP_CHANNELS], 8) };
  const last = 'h = Transpose(m; perm=[0, 2, 3, 1])';
  const plain = 'y = InstanceNormalization(m, gamma, beta; epsilon=0.001f)';
  const turned = floats([MAP_CHANNELS, 3, 3, MAP_CHANNELS], channelsLast(noise(MAP_CHANNELS ** 2 * 9, 7)));

  test.each([
    ['GroupNorm', `${last}\nyt = com.microsoft.GroupNorm(h, gamma, beta; groups=6, epsilon=0.001f)`, plain],
    [
      'GroupNorm and SiLU, channels first',
      'y = com.microsoft.GroupNorm(m, gamma, beta; groups=6, epsilon=0.001f, channels_last=0, activation=1)',
      'n = InstanceNormalization(m, gamma, beta; epsilon=0.001f)\ns = Sigmoid(n)\ny = Mul(n, s)',
    ],
    [
      'SkipGroupNorm',
      `${last}\nyt = com.microsoft.SkipGroupNorm(h, gamma, beta, h; groups=6, epsilon=0.001f)`,
      'd = Add(m, m)\ny = InstanceNormalization(d, gamma, beta; epsilon=0.001f)',
    ],
    ['NhwcConv', `${last}\nyt = com.microsoft.NhwcConv(h, turned; ${window})`, `y = Conv(m, w; ${window})`],
    [
      'NhwcFusedConv',
      `${last}\nyt = com.microsoft.NhwcFusedConv(h, w, , h; ${window}, activation="Relu")`,
      `c = Conv(m, w; ${window})\ns = Add(c, m)\ny = Relu(s)`,
    ],
    [
      'ConvTransposeWithDynamicPads',
      'y = com.microsoft.ConvTransposeWithDynamicPads(m, w, pads; kernel_shape=[3, 3], strides=[2, 2])',
      'y = ConvTranspose(m, w; kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])',
    ],
    ['BiasAdd', 'y = com.microsoft.BiasAdd(m, one, m)', 'a = Add(m, one)\ny = Add(a, m)'],
  ])('%s', async (_, fused, standard) => {
    const steps = fused.includes('yt =') ? `${fused}\ny = Transpose(yt; perm=[0, 3, 1, 2])` : fused;
    const initializers = { ...norm, turned, w: filters, pads: ints([1, 1, 1, 1]), one: floats([1], [1]) };
    const stem = 'stem = Conv(image, stem.weight; kernel_shape=[3, 3], pads=[1, 1, 1, 1])\nm = Relu(stem)\n';
    const weights = { ...initializers, 'stem.weight': random([MAP_CHANNELS, 3, 3, 3], 5) };
    const given = { initializers: weights };
    const { graph } = await importAndCompare({ ...given, nodes: nodesOf(stem + steps) }, { skipRuntime: true });
    const expected = await importAndCompare({ ...given, nodes: nodesOf(stem + standard) });
    expectSame(graph, expected.graph);
  });

  test('BiasSplitGelu', async () => {
    const initializers = { b: random([CHANNELS], 3), parts: ints([4, 4]) };
    const { graph } = await importAndCompare(
      { nodes: nodesOf('y = com.microsoft.BiasSplitGelu(x, b)'), initializers },
      { skipRuntime: true },
    );
    const written = nodesOf(`
      s = Add(x, b)
      l, r = Split(s, parts; axis=-1)
      g = com.microsoft.Gelu(r)
      y = Mul(l, g)
    `);
    const expected = await importAndCompare({ nodes: written, initializers });
    expectSame(graph, expected.graph);
  });
});

function expectSame(given: Graph, expected: Graph): void {
  const image = noise(3 * 8 * 8, 11);
  const values = evaluateGraph(given, image);
  evaluateGraph(expected, image).forEach((value, i) => expect(values[i]).toBeCloseTo(value, 5));
}

/** Filters [N, C, 3, 3] as [N, 3, 3, C]. */
function channelsLast(values: Float32Array): Float32Array {
  return Float32Array.from(values, (_, i) => {
    const channel = i % MAP_CHANNELS;
    const tap = Math.floor(i / MAP_CHANNELS) % 9;
    const filter = Math.floor(i / (MAP_CHANNELS * 9));
    return values[(filter * MAP_CHANNELS + channel) * 9 + tap];
  });
}
