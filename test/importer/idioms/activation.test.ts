import { describe, expect, test } from 'vitest';
import { floats, random } from '../../onnx/build.js';
import { chain, CHANNELS, importAndCompare, opsOf, type Tail, type Step } from './stem.js';

const scalars = (values: Record<string, number>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, floats([], [value])]));

const constants = scalars({
  half: 0.5,
  one: 1,
  two: 2,
  three: 3,
  root2: Math.SQRT2,
  rsqrt2: Math.SQRT1_2,
  c: 0.044715,
  s: Math.sqrt(2 / Math.PI),
  q: 1.702,
  zero: 0,
  six: 6,
});

const variants: Record<string, [kind: string, steps: readonly Step[], opset?: number]> = {
  'GELU, x·(1 + erf)·½': [
    'gelu',
    [
      ['Div', ['x', 'root2'], 'a'],
      ['Erf', ['a'], 'b'],
      ['Add', ['b', 'one'], 'c1'],
      ['Mul', ['x', 'c1'], 'd'],
      ['Mul', ['d', 'half'], 'y'],
    ],
  ],
  'GELU, ½·(erf + 1)·x': [
    'gelu',
    [
      ['Mul', ['x', 'rsqrt2'], 'a'],
      ['Erf', ['a'], 'b'],
      ['Add', ['one', 'b'], 'c1'],
      ['Mul', ['half', 'c1'], 'd'],
      ['Mul', ['d', 'x'], 'y'],
    ],
  ],
  'GELU, ½x + ½x·erf': [
    'gelu',
    [
      ['Mul', ['x', 'half'], 'h'],
      ['Mul', ['x', 'rsqrt2'], 'a'],
      ['Erf', ['a'], 'b'],
      ['Mul', ['h', 'b'], 'd'],
      ['Add', ['h', 'd'], 'y'],
    ],
  ],
  'GELU operator': ['gelu', [['Gelu', ['x'], 'y']], 20],
  'GELU operator, tanh': ['geluTanh', [['Gelu', ['x'], 'y', { approximate: 'tanh' }]], 20],
  'tanh GELU, cube by Pow': [
    'geluTanh',
    [
      ['Pow', ['x', 'three'], 'p'],
      ['Mul', ['p', 'c'], 'k'],
      ['Add', ['x', 'k'], 'i'],
      ['Mul', ['i', 's'], 'j'],
      ['Tanh', ['j'], 't'],
      ['Add', ['t', 'one'], 'u'],
      ['Mul', ['x', 'half'], 'h'],
      ['Mul', ['h', 'u'], 'y'],
    ],
  ],
  'tanh GELU, cube by products': [
    'geluTanh',
    [
      ['Mul', ['x', 'x'], 'xx'],
      ['Mul', ['xx', 'x'], 'p'],
      ['Mul', ['c', 'p'], 'k'],
      ['Add', ['k', 'x'], 'i'],
      ['Mul', ['s', 'i'], 'j'],
      ['Tanh', ['j'], 't'],
      ['Add', ['one', 't'], 'u'],
      ['Mul', ['u', 'x'], 'v'],
      ['Mul', ['half', 'v'], 'y'],
    ],
  ],
  'tanh GELU, x(1 + c·x²)': [
    'geluTanh',
    [
      ['Mul', ['x', 'x'], 'xx'],
      ['Mul', ['c', 'xx'], 'k'],
      ['Add', ['one', 'k'], 'i'],
      ['Mul', ['x', 'i'], 'i2'],
      ['Mul', ['s', 'i2'], 'j'],
      ['Tanh', ['j'], 't'],
      ['Add', ['one', 't'], 'u'],
      ['Mul', ['u', 'x'], 'v'],
      ['Div', ['v', 'two'], 'y'],
    ],
  ],
  'quick GELU': [
    'quickGelu',
    [
      ['Mul', ['x', 'q'], 'a'],
      ['Sigmoid', ['a'], 'b'],
      ['Mul', ['x', 'b'], 'y'],
    ],
  ],
  SiLU: [
    'silu',
    [
      ['Sigmoid', ['x'], 'b'],
      ['Mul', ['b', 'x'], 'y'],
    ],
  ],
  ReLU: ['relu', [['Relu', ['x'], 'y']]],
  'hard-swish operator': ['hardSwish', [['HardSwish', ['x'], 'y']]],
  'hard-swish, x·HardSigmoid(x)': [
    'hardSwish',
    [
      ['HardSigmoid', ['x'], 'a', { alpha: { float: 1 / 6 }, beta: { float: 0.5 } }],
      ['Mul', ['a', 'x'], 'y'],
    ],
  ],
  'hard-swish, x·clip(x + 3, 0, 6)/6': [
    'hardSwish',
    [
      ['Add', ['x', 'three'], 'a'],
      ['Clip', ['a', 'zero', 'six'], 'b'],
      ['Mul', ['x', 'b'], 'c1'],
      ['Div', ['c1', 'six'], 'y'],
    ],
  ],
  'ReLU as a maximum': ['relu', [['Max', ['x', 'zero'], 'y']]],
};

describe('activations', () => {
  test.each(Object.entries(variants))('%s', async (_, [kind, steps, opset]) => {
    const { nodes } = await importAndCompare({ nodes: chain(...steps), initializers: constants, opset });
    expect(nodes).toMatchObject([{ op: 'activation', kind }]);
  });

  test.each([
    ['Gelu', 'gelu', []],
    ['BiasGelu', 'gelu', ['bias']],
    ['FastGelu', 'geluTanh', ['bias']],
    ['QuickGelu', 'quickGelu', []],
  ])('ONNX Runtime’s %s', async (op, kind, more) => {
    const tail: Tail = {
      nodes: [{ op, domain: 'com.microsoft', in: ['x', ...more], out: ['y'] }],
      initializers: { bias: random([CHANNELS], 5) },
    };
    const { nodes } = await importAndCompare(tail);
    // The bias folds into the patch embedding.
    expect(nodes).toMatchObject([{ op: 'activation', kind }]);
  });

  test('a factor after the activation is no part of it', async () => {
    const { nodes } = await importAndCompare({
      nodes: chain(['Relu', ['x'], 'r'], ['Mul', ['r', 'half'], 'y']),
      initializers: constants,
    });
    expect(opsOf(nodes)).toEqual(['activation', 'affine']);
  });

  test('ReLU6 is refused', async () => {
    const relu6 = importAndCompare(
      { nodes: chain(['Clip', ['x', 'zero', 'six'], 'y']), initializers: constants },
      { skipRuntime: true },
    );
    await expect(relu6).rejects.toThrow(/Clip/);
  });
});
