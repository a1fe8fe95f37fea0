import { describe, expect, test } from 'vitest';
import { proveNoOverflow } from '../../../src/program/bounds.js';
import { DEFAULT_OPTIONS, quantizeGraph } from '../../../src/quantize/index.js';
import { importAndCompare } from '../../importer/idioms/stem.js';
import { floats, random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import '../../build-kernels.js';

const initializers = { wa: random([8, 8], 5), wb: random([8, 8], 6), wv: random([8, 8], 7), small: floats([], [0.2]) };

/** u8 pixels, 8×8×3. */
const images = Array.from({ length: 16 }, (_, i) => {
  let state = i + 1;
  return Uint8Array.from({ length: 192 }, () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24);
});

describe('a tensor that is an operand twice', () => {
  test.each([
    ['query and key of one attention', 'at = Transpose(a; perm=[0, 2, 1])\ns = MatMul(a, at)', 2],
    ['query and value', 'bt = Transpose(b; perm=[0, 2, 1])\ns = MatMul(v, bt)', 2],
  ])('%s is computed for each', async (_, scores, copies) => {
    const { graph } = await importAndCompare({
      nodes: nodesOf(`
        a = MatMul(x, wa)
        b = MatMul(x, wb)
        v = MatMul(x, wv)
        ${scores}
        t = Mul(s, small)
        p = Softmax(t; axis=-1)
        y = MatMul(p, v)
      `),
      initializers,
    });
    const linear = graph.nodes.filter((node) => node.op === 'linear');
    const weights = linear.map((node) => node.weight.join());
    expect(Math.max(...weights.map((one) => weights.filter((other) => other === one).length))).toBe(copies);
    const normalization = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };
    const options = { ...DEFAULT_OPTIONS, kernels: 'lut' as const };
    const { program, agreement } = await quantizeGraph({ graph, images, normalization, options });
    expect(() => proveNoOverflow(program)).not.toThrow();
    expect(agreement!.sqnrDb).toBeGreaterThan(20);
  });

  test('query of one attention and key of the next', async () => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`
        a = MatMul(x, wa)
        b = MatMul(x, wb)
        v = MatMul(x, wv)
        bt = Transpose(b; perm=[0, 2, 1])
        s = MatMul(a, bt)
        p = Softmax(s; axis=-1)
        c = MatMul(p, v)
        at = Transpose(a; perm=[0, 2, 1])
        s2 = MatMul(b, at)
        p2 = Softmax(s2; axis=-1)
        d = MatMul(p2, v)
        y = Add(c, d)
      `),
      initializers,
    });
    const attentions = nodes.filter((node) => node.op === 'attention');
    expect(new Set(attentions.flatMap(({ q, k }) => [q.source, k.source])).size).toBe(4);
  });
});
