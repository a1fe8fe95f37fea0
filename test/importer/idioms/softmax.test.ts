import { describe, expect, test } from 'vitest';
import type { NodeSpec } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { ints } from '../../onnx/build.js';
import { importAndCompare, opsOf } from './stem.js';

const initializers = { last: ints([-1]) };
/** softmax(x·xᵀ)·x, where `softmax` makes p of s. */
const attention = (softmax: string): NodeSpec[] =>
  nodesOf(`
    xT = Transpose(x; perm=[0, 2, 1])
    s = MatMul(x, xT)
    ${softmax}
    y = MatMul(p, x)
  `);
const rest = `
  e = Exp(d)
  t = ReduceSum(e, last; keepdims=1)
  p = Div(e, t)
`;
const maximum = (axis: number, of = 's'): string => `m = ReduceMax(${of}; axes=[${axis}], keepdims=1)`;
const difference = 'd = Sub(s, m)';

/** Lines of several pieces. */
const lines = (...pieces: readonly string[]): string => pieces.join('\n');

describe('softmax outside of attention', () => {
  test.each<[string, readonly NodeSpec[]]>([
    ['over channels', nodesOf('p = Softmax(x)\ny = Add(p, x)')],
    ['over tokens', nodesOf('p = Softmax(x; axis=1)\ny = Add(p, x)')],
  ])('%s', async (_, nodes) => {
    const result = await importAndCompare({ nodes, opset: 17 });
    expect(opsOf(result.nodes)).toContain('softmax');
  });
});

describe('softmax written out', () => {
  test.each<[string, readonly NodeSpec[]]>([
    ['less the maximum', attention(lines(maximum(-1), difference, rest))],
    ['plus the negative maximum', attention(lines(maximum(2), 'n = Neg(m)', 'd = Add(n, s)', rest))],
    ['as it is', attention(lines('d = Identity(s)', rest))],
  ])('%s', async (_, nodes) => {
    const result = await importAndCompare({ nodes, initializers });
    expect(result.nodes).toMatchObject([{ op: 'attention', heads: 1 }]);
  });

  test.each<[string, readonly NodeSpec[]]>([
    ['the maximum of other rows', attention(lines(maximum(1), difference, rest))],
    [
      'a sum of another exponential',
      attention(`
        ${maximum(-1)}
        ${difference}
        e = Exp(d)
        f = Exp(s)
        t = ReduceSum(f, last; keepdims=1)
        p = Div(e, t)
      `),
    ],
    ['a maximum of something else', attention(lines(maximum(-1, 'x'), difference, rest))],
  ])('%s is no softmax', async (_, nodes) => {
    const result = await importAndCompare({ nodes, initializers });
    expect(opsOf(result.nodes)).not.toContain('attention');
  });
});
