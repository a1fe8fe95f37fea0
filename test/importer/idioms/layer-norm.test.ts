import { describe, expect, test } from 'vitest';
import { floats, ints, random } from '../../onnx/build.js';
import { chain, CHANNELS, importAndCompare, type Step } from './stem.js';

const initializers = {
  'norm.weight': random([CHANNELS], 5),
  'norm.bias': random([CHANNELS], 6),
  eps: floats([], [1e-5]),
  two: floats([], [2]),
  half: floats([], [0.5]),
  axes: ints([-1]),
};
const axes = { axes: [-1], keepdims: 1 };
const scaled = [
  ['Mul', ['n', 'norm.weight'], 'g'],
  ['Add', ['g', 'norm.bias'], 'y'],
] as const;

const variants: Record<string, [steps: readonly Step[], opset?: number]> = {
  LayerNormalization: [
    [['LayerNormalization', ['x', 'norm.weight', 'norm.bias'], 'y', { axis: -1, epsilon: { float: 1e-5 } }]],
  ],
  'from means, Pow and Div (opset 11)': [
    [
      ['ReduceMean', ['x'], 'm', axes],
      ['Sub', ['x', 'm'], 'd'],
      ['Pow', ['d', 'two'], 'p'],
      ['ReduceMean', ['p'], 'v', axes],
      ['Add', ['v', 'eps'], 'e'],
      ['Sqrt', ['e'], 's'],
      ['Div', ['d', 's'], 'n'],
      ...scaled,
    ],
    11,
  ],
  'axes as an input, square by Mul, reciprocal (opset 18)': [
    [
      ['ReduceMean', ['x', 'axes'], 'm'],
      ['Sub', ['x', 'm'], 'd'],
      ['Mul', ['d', 'd'], 'p'],
      ['ReduceMean', ['p', 'axes'], 'v'],
      ['Add', ['eps', 'v'], 'e'],
      ['Sqrt', ['e'], 's'],
      ['Reciprocal', ['s'], 'r'],
      ['Mul', ['r', 'd'], 'n'],
      ...scaled,
    ],
    18,
  ],
  'the difference computed twice, root by Pow': [
    [
      ['ReduceMean', ['x'], 'm', axes],
      ['Sub', ['x', 'm'], 'd'],
      ['Sub', ['x', 'm'], 'd2'],
      ['Mul', ['d2', 'd2'], 'p'],
      ['ReduceMean', ['p'], 'v', axes],
      ['Add', ['v', 'eps'], 'e'],
      ['Pow', ['e', 'half'], 's'],
      ['Div', ['d', 's'], 'n'],
      ...scaled,
    ],
  ],
};

describe('LayerNorm', () => {
  test.each(Object.entries(variants))('%s', async (_, [steps, opset]) => {
    const { nodes } = await importAndCompare({ nodes: chain(...steps), initializers, opset });
    expect(nodes).toMatchObject([{ op: 'layerNorm', name: 'norm', cols: CHANNELS, epsilon: expect.closeTo(1e-5, 10) }]);
  });

  test('ONNX Runtime’s SkipLayerNormalization gives the sum too', async () => {
    const { nodes } = await importAndCompare({
      nodes: [
        ...chain(['Relu', ['x'], 'r']),
        {
          op: 'SkipLayerNormalization',
          domain: 'com.microsoft',
          in: ['x', 'r', 'norm.weight', 'norm.bias'],
          out: ['n', '', '', 'sum'],
          attributes: { epsilon: { float: 1e-5 } },
        },
        ...chain(['Add', ['n', 'sum'], 'y']),
      ],
      initializers,
    });
    expect(nodes.map((node) => node.op)).toEqual(['activation', 'add', 'layerNorm', 'add']);
  });

  test('SkipLayerNormalization’s bias folds into the linear layer before it', async () => {
    const { nodes } = await importAndCompare({
      nodes: [
        ...chain(['MatMul', ['x', 'w'], 'm']),
        {
          op: 'SkipLayerNormalization',
          domain: 'com.microsoft',
          in: ['m', 'x', 'norm.weight', 'norm.bias', 'bias'],
          out: ['n', '', '', 'sum'],
        },
        ...chain(['Add', ['n', 'sum'], 'y']),
      ],
      initializers: { ...initializers, w: random([CHANNELS, CHANNELS], 7), bias: random([CHANNELS], 8) },
    });
    expect(nodes.map((node) => node.op)).toEqual(['linear', 'add', 'layerNorm', 'add']);
  });

  test('over rows in another order stays a norm of the rows as they lie', async () => {
    const { nodes } = await importAndCompare({
      nodes: chain(
        ['Gather', ['x', 'order'], 't', { axis: 1 }],
        ['LayerNormalization', ['t', 'norm.weight', 'norm.bias'], 'y', { axis: -1 }],
      ),
      initializers: { ...initializers, order: ints([2, 0, 3, 1]) },
    });
    expect(nodes.map((node) => node.op)).toEqual(['layerNorm', 'gather']);
  });
});
