import { describe, expect, test } from 'vitest';
import { floats, ints, random } from '../../onnx/build.js';
import { chain, CHANNELS, importAndCompare, opsOf, TOKENS } from './stem.js';

const initializers = {
  'head.weight': random([CHANNELS, 3], 5),
  'token.bias': random([1, TOKENS, CHANNELS], 6),
  'token.scale': random([1, TOKENS, 1], 7),
};

describe('constant operands', () => {
  test('a value per token and channel stays a sum', async () => {
    const { nodes } = await importAndCompare({
      nodes: chain(['Relu', ['x'], 'r'], ['Add', ['r', 'token.bias'], 'y']),
      initializers,
    });
    expect(nodes.map((node) => [node.op, node.name])).toEqual([
      ['activation', 'act'],
      ['addConst', 'token'],
    ]);
  });

  test('a factor per token is refused', async () => {
    const scaled = importAndCompare({
      nodes: chain(['Relu', ['x'], 'r'], ['Mul', ['r', 'token.scale'], 'y']),
      initializers,
    });
    await expect(scaled).rejects.toThrow(/token to token/);
  });

  test('two heads that are averaged become one layer', async () => {
    const { nodes } = await importAndCompare({
      nodes: chain(
        ['Gather', ['x', 'first'], 'a', { axis: 1 }],
        ['Gather', ['x', 'second'], 'b', { axis: 1 }],
        ['MatMul', ['a', 'head.weight'], 'ha'],
        ['MatMul', ['b', 'head.weight'], 'hb'],
        ['Add', ['ha', 'hb'], 's'],
        ['Div', ['s', 'two'], 'y'],
      ),
      initializers: { ...initializers, first: ints([0], []), second: ints([1], []), two: floats([], [2]) },
    });
    expect(opsOf(nodes)).toEqual(['gather', 'linear']);
  });

  test('a BatchNorm after pooled rows folds into the head', async () => {
    const { nodes } = await importAndCompare({
      nodes: [
        ...chain(['Relu', ['x'], 'r'], ['Transpose', ['r'], 't', { perm: [0, 2, 1] }]),
        { op: 'BatchNormalization', in: ['t', 'g', 'b', 'm', 'v'], out: ['n'] },
        ...chain(
          ['Transpose', ['n'], 'u', { perm: [0, 2, 1] }],
          ['Gather', ['u', 'first'], 'f', { axis: 1 }],
          ['MatMul', ['f', 'head.weight'], 'y'],
        ),
      ],
      initializers: {
        ...initializers,
        first: ints([0], []),
        g: random([CHANNELS], 20),
        b: random([CHANNELS], 21),
        m: random([CHANNELS], 22),
        v: floats(
          [CHANNELS],
          Array.from({ length: CHANNELS }, (_, i) => 0.5 + i),
        ),
      },
    });
    expect(opsOf(nodes)).toEqual(['activation', 'gather', 'linear']);
  });
});
