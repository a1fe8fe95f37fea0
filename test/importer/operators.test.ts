import { describe, expect, test } from 'vitest';
import { floats, ints, random, type TensorSpec } from '../onnx/build.js';
import { chain, CHANNELS, importAndCompare, opsOf, TOKENS, type Step } from './idioms/stem.js';

describe('layout operators compute what ONNX Runtime computes', () => {
  const list: Record<string, TensorSpec> = {
    i: ints([2, -1, 0]),
    scalar: ints([1], []),
    grid: ints([1, 2, 2, CHANNELS]),
    open: ints([0, -1, 2]),
    wide: ints([1, CHANNELS, 2, 2]),
    s: ints([-1]),
    e: ints([-100]),
    a: ints([1]),
    step: ints([-2]),
    pads: ints([0, 1, 0, 0, -1, 2]),
    two: ints([1, 2, 1]),
    parts: ints([1, 3]),
    target: ints([3, 1, 1]),
    nd: ints([0, 2, 0, 1], [2, 2]),
    el: ints([1, 0, 3, 2, 1, 1, 0, 0], [1, 1, 8]),
    axes: ints([1, 3]),
    padAxes: ints([1]),
    pads2: ints([1, 1]),
  };

  test.each<[string, readonly Step[], number?]>([
    ['Gather with several indices', [['Gather', ['x', 'i'], 'y', { axis: 1 }]]],
    ['Gather with one', [['Gather', ['x', 'scalar'], 'y', { axis: -1 }]]],
    ['GatherND', [['GatherND', ['x', 'nd'], 'y']]],
    ['GatherElements', [['GatherElements', ['x', 'el'], 'y', { axis: 1 }]]],
    ['Reshape with 0 and −1', [['Reshape', ['x', 'open'], 'y']]],
    ['Slice backwards', [['Slice', ['x', 's', 'e', 'a', 'step'], 'y']]],
    ['Pad and crop', [['Pad', ['x', 'pads'], 'y']]],
    ['Pad, reflecting', [['Pad', ['x', 'pads2', '', 'padAxes'], 'y', { mode: 'reflect' }]], 18],
    ['Pad, repeating the edge', [['Pad', ['x', 'pads2', '', 'padAxes'], 'y', { mode: 'edge' }]], 18],
    ['Tile', [['Tile', ['x', 'two'], 'y']]],
    ['Expand', [['Expand', ['x', 'target'], 'y']]],
    ['Flatten', [['Flatten', ['x'], 'y', { axis: 2 }]]],
    [
      'Unsqueeze and Squeeze',
      [
        ['Unsqueeze', ['x', 'axes'], 'u'],
        ['Squeeze', ['u'], 'y'],
      ],
    ],
    [
      'DepthToSpace',
      [
        ['Reshape', ['x', 'wide'], 'm'],
        ['DepthToSpace', ['m'], 'y', { blocksize: 2 }],
      ],
    ],
    [
      'DepthToSpace, column first',
      [
        ['Reshape', ['x', 'wide'], 'm'],
        ['DepthToSpace', ['m'], 'y', { blocksize: 2, mode: 'CRD' }],
      ],
    ],
    [
      'SpaceToDepth',
      [
        ['Reshape', ['x', 'wide'], 'm'],
        ['SpaceToDepth', ['m'], 'y', { blocksize: 2 }],
      ],
    ],
    [
      'Concat of pieces',
      [
        ['Slice', ['x', 's', 'e', 'a', 'step'], 'p'],
        ['Concat', ['p', 'x'], 'y', { axis: 1 }],
      ],
    ],
  ])('%s', async (_, steps, opset) => {
    const { nodes } = await importAndCompare({ nodes: chain(...steps), initializers: list, opset });
    expect(opsOf(nodes).every((op) => op === 'gather')).toBe(true);
  });

  test('Split with and without sizes', async () => {
    const { nodes } = await importAndCompare({
      nodes: [
        { op: 'Split', in: ['x', 'parts'], out: ['a1', 'a2'], attributes: { axis: 1 } },
        { op: 'Split', in: ['x'], out: ['b1', 'b2'], attributes: { axis: 2 } },
        ...chain(
          ['Concat', ['a2', 'a1'], 'c', { axis: 1 }],
          ['Concat', ['b2', 'b1'], 'd', { axis: 2 }],
          ['Add', ['c', 'd'], 'y'],
        ),
      ],
      initializers: list,
    });
    expect(opsOf(nodes)).toContain('add');
  });

  test('a roll costs one gather, a roll and its inverse none', async () => {
    const roll = (input: string, output: string, at: string) =>
      chain(
        ['Slice', [input, at, 'end', 'a'], `${output}1`],
        ['Slice', [input, 'start', at, 'a'], `${output}2`],
        ['Concat', [`${output}1`, `${output}2`], output, { axis: 1 }],
      );
    const initializers = { ...list, one: ints([1]), three: ints([3]), start: ints([0]), end: ints([1000]) };
    expect(opsOf((await importAndCompare({ nodes: roll('x', 'y', 'one'), initializers })).nodes)).toEqual(['gather']);
    const both = [...roll('x', 'r', 'one'), ...roll('r', 'u', 'three'), ...chain(['Relu', ['u'], 'y'])];
    expect(opsOf((await importAndCompare({ nodes: both, initializers })).nodes)).toEqual(['activation']);
  });
});

/** Adds a constant expression to the tokens, so that folding it is compared with what ONNX Runtime computes. */
async function foldsTo(
  steps: readonly Step[],
  initializers: Record<string, TensorSpec>,
  opset?: number,
): Promise<void> {
  const { nodes } = await importAndCompare({
    nodes: chain(['Relu', ['x'], 'r'], ...steps, ['Add', ['r', 'c'], 'y']),
    initializers,
    opset,
  });
  expect(nodes.every((node) => ['activation', 'affine', 'addConst'].includes(node.op))).toBe(true);
}

describe('constants fold as ONNX Runtime computes them', () => {
  const a = random([TOKENS, CHANNELS], 31);
  const b = random([CHANNELS], 32);
  const bool = { dims: [CHANNELS], dataType: 9, rawData: Uint8Array.from({ length: CHANNELS }, (_, i) => i % 2) };
  const float = (input: string): Step => ['Cast', [input], 'c', { to: 1 }];
  const all = {
    a,
    b,
    bool,
    n: ints([7, -7, 5, 0, 1, 2, 3, 4]),
    m: ints([3]),
    zero: ints([0], []),
    eight: ints([8], []),
    one: ints([1], []),
    dims: ints([TOKENS, 1]),
    pos: random([1, 1, 3, 3], 33),
    scales: floats([4], [1, 1, 4 / 3, 8 / 3]),
    sizes: ints([1, 1, 4, 8]),
    roi: floats([0], []),
    rowsCols: ints([TOKENS, CHANNELS]),
    w: random([CHANNELS, CHANNELS], 34),
    axis: ints([0]),
    depth: ints([8], []),
    values: floats([2], [0, 2]),
    hot: ints([1, 0, 7, 3]),
    at: ints([0, 2], [2, 1]),
    rows: random([2, CHANNELS], 35),
    two: floats([], [2]),
  };

  test.each<[string, readonly Step[], number?]>([
    [
      'arithmetic',
      [
        ['Sub', ['a', 'b'], 'd'],
        ['Div', ['d', 'two'], 'e'],
        ['Abs', ['e'], 'f'],
        ['Sqrt', ['f'], 'c'],
      ],
    ],
    [
      'integer division and modulus',
      [['Div', ['n', 'm'], 'd'], ['Mod', ['n', 'm'], 'o'], ['Mul', ['d', 'o'], 'p'], float('p')],
    ],
    [
      'comparisons and logic',
      [
        ['Greater', ['a', 'b'], 'g'],
        ['Not', ['g'], 'h'],
        ['Or', ['g', 'bool'], 'o'],
        ['And', ['o', 'h'], 'p'],
        float('p'),
      ],
    ],
    ['Where', [['Where', ['bool', 'a', 'b'], 'c']]],
    ['Range and Expand', [['Range', ['zero', 'eight', 'one'], 'r2'], ['Expand', ['r2', 'dims'], 'e'], float('e')]],
    [
      'Shape, ConstantOfShape',
      [
        ['Shape', ['a'], 's'],
        ['ConstantOfShape', ['s'], 'o', { value: floats([1], [3]) }],
        ['Add', ['o', 'a'], 'c'],
      ],
    ],
    [
      'Erf, Tanh, Sigmoid, Exp',
      [
        ['Erf', ['a'], 'd'],
        ['Tanh', ['d'], 'e'],
        ['Sigmoid', ['e'], 'f'],
        ['Exp', ['f'], 'c'],
      ],
    ],
    ['a product', [['MatMul', ['a', 'w'], 'c']]],
    ['LayerNormalization', [['LayerNormalization', ['a', 'b', 'b'], 'c']]],
    ['Softmax', [['Softmax', ['a'], 'c', { axis: -1 }]]],
    [
      'reductions',
      [
        ['ReduceSum', ['a', 'axis'], 's'],
        ['ReduceMax', ['a'], 'm2', { axes: [0] }],
        ['Add', ['s', 'm2'], 'c'],
      ],
    ],
    ['CumSum', [['CumSum', ['a', 'one'], 'c']]],
    ['OneHot', [['OneHot', ['hot', 'depth', 'values'], 'c']]],
    ['Trilu', [['Trilu', ['a'], 'c', { upper: 0 }]]],
    ['ScatterND', [['ScatterND', ['a', 'at', 'rows'], 'c']]],
    [
      'Resize, cubic, to sizes',
      [
        [
          'Resize',
          ['pos', '', '', 'sizes'],
          'z',
          { mode: 'cubic', coordinate_transformation_mode: 'pytorch_half_pixel' },
        ],
        ['Reshape', ['z', 'rowsCols'], 'c'],
      ],
    ],
    [
      'Resize, cubic, by scales',
      [
        ['Resize', ['pos', 'roi', 'scales'], 'z', { mode: 'cubic' }],
        ['Reshape', ['z', 'rowsCols'], 'c'],
      ],
    ],
    [
      'Resize, linear, aligned corners',
      [
        ['Resize', ['pos', '', '', 'sizes'], 'z', { mode: 'linear', coordinate_transformation_mode: 'align_corners' }],
        ['Reshape', ['z', 'rowsCols'], 'c'],
      ],
    ],
    [
      'Resize, nearest',
      [
        [
          'Resize',
          ['pos', '', '', 'sizes'],
          'z',
          { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
        ],
        ['Reshape', ['z', 'rowsCols'], 'c'],
      ],
    ],
    [
      'If with a known condition',
      [
        ['Greater', ['eight', 'zero'], 'yes'],
        [
          'If',
          ['yes'],
          'c',
          {
            then_branch: { nodes: chain(['Abs', ['a'], 't']), outputs: ['t'] },
            else_branch: { nodes: chain(['Exp', ['a'], 't2']), outputs: ['t2'] },
          },
        ],
      ],
    ],
  ])('%s', async (_, steps, opset) => foldsTo(steps, all, opset));
});

describe('refusals name the node', () => {
  test.each<[string, Parameters<typeof importAndCompare>[0], RegExp]>([
    ['an unknown operator', { nodes: [{ op: 'LSTM', name: 'rnn', in: ['x'], out: ['y'] }] }, /node "rnn" \(LSTM\)/],
    [
      'a layout for one machine',
      { nodes: [{ op: 'Conv', domain: 'com.microsoft.nchwc', in: ['x'], out: ['y'] }] },
      /without layout optimisation/,
    ],
    ['a quantized model', { nodes: [{ op: 'DequantizeLinear', in: ['x'], out: ['y'] }] }, /quantized already/],
    ['a shape from activations', { nodes: chain(['Reshape', ['x', 'x'], 'y']) }, /depends on the image/],
    [
      'two activations multiplied',
      { nodes: [{ op: 'Mul', name: 'gate', in: ['x', 'x'], out: ['y'] }] },
      /node "gate" \(Mul\): two activations/,
    ],
    [
      'an index out of range',
      { nodes: chain(['Gather', ['x', 'far'], 'y', { axis: 1 }]), initializers: { far: ints([9]) } },
      /index 9/,
    ],
    [
      'a huge constant',
      {
        nodes: chain(['ConstantOfShape', ['dims'], 'c'], ['Add', ['x', 'c'], 'y']),
        initializers: { dims: ints([100000, 100000]) },
      },
      /too many elements/,
    ],
    [
      'a huge axis',
      { nodes: chain(['Tile', ['x', 'n'], 'y']), initializers: { n: ints([1, 2 ** 30, 1]) } },
      /impossible/,
    ],
  ])('%s', async (_, tail, cause) => {
    await expect(importAndCompare(tail, { skipRuntime: true })).rejects.toThrow(cause);
  });

  test('all of several problems are listed', async () => {
    const several = importAndCompare({ nodes: chain(['LSTM', ['x'], 'a'], ['GRU', ['a'], 'y']) });
    await expect(several).rejects.toMatchObject({ exitCode: 3, problems: [{ op: 'LSTM' }, { op: 'GRU' }] });
  });
});
