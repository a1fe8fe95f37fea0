import { expect, test } from 'vitest';
import { DEFAULT_OPTIONS, quantizeGraph } from '../../../src/quantize/index.js';
import { importAndCompare } from '../../importer/idioms/stem.js';
import { floats, random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import '../../build-kernels.js';

/** u8 pixels, 8×8×3. */
const images = Array.from({ length: 16 }, (_, i) => {
  let state = i + 1;
  return Uint8Array.from({ length: 192 }, () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24);
});

test.each([
  ['Gelu', 'g = Gelu(d)', 'lut'],
  ['Gelu', 'g = Gelu(d)', 'shift'],
  ['SiLU', 's = Sigmoid(d)\ng = Mul(d, s)', 'lut'],
  ['SiLU', 's = Sigmoid(d)\ng = Mul(d, s)', 'shift'],
  ['Relu', 'g = Relu(d)', 'lut'],
  ['squared Relu', 'r = Relu(d)\ng = Mul(r, r)', 'lut'],
  ['HardSwish', 'g = HardSwish(d)', 'lut'],
  ['Mish', 'g = Mish(d)', 'lut'],
  ['LeakyRelu', 'g = LeakyRelu(d)', 'lut'],
  ['Softplus', 'g = Softplus(d)', 'lut'],
  ['product', 'g = Mul(d, d)', 'lut'],
] as const)(
  '%s of values near to zero, and of large ones, has bits enough (%s, %s)',
  async (_, activation, kernels) => {
    for (const factor of [1e-9, 1e-5, 1e3, 1e7]) {
      const { graph } = await importAndCompare({
        opset: 20,
        nodes: nodesOf(`d = Mul(x, small)\n${activation}\ny = MatMul(g, w)`),
        initializers: { w: random([8, 8], 6), small: floats([], [factor]) },
      });
      const normalization = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };
      const options = { ...DEFAULT_OPTIONS, kernels };
      const { agreement } = await quantizeGraph({ graph, images, normalization, options });
      expect.soft(agreement!.sqnrDb, String(factor)).toBeGreaterThan(25);
    }
  },
);

test('an activation whose results hardly vary is quantized', async () => {
  const { graph } = await importAndCompare({
    opset: 20,
    nodes: nodesOf('s = Mul(x, small)\nd = Add(s, below)\ng = Gelu(d)\ny = MatMul(g, w)'),
    initializers: { w: random([8, 8], 6), small: floats([], [1e-6]), below: floats([], [-1]) },
  });
  const normalization = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };
  const { agreement } = await quantizeGraph({ graph, images, normalization, options: DEFAULT_OPTIONS });
  expect(agreement.sqnrDb).toBeGreaterThan(25);
});
