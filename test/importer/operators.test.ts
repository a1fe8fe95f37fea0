import { describe, expect, test } from 'vitest';
import { floats, ints, random, type TensorSpec, type NodeSpec } from '../onnx/build.js';
import { nodesOf } from '../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, opsOf, TOKENS } from './idioms/stem.js';

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

  test.each<[string, readonly NodeSpec[], number?]>([
    ['Gather with several indices', nodesOf('y = Gather(x, i; axis=1)')],
    ['Gather with one', nodesOf('y = Gather(x, scalar; axis=-1)')],
    ['GatherND', nodesOf('y = GatherND(x, nd)')],
    ['GatherElements', nodesOf('y = GatherElements(x, el; axis=1)')],
    ['Reshape with 0 and −1', nodesOf('y = Reshape(x, open)')],
    ['Slice backwards', nodesOf('y = Slice(x, s, e, a, step)')],
    ['Pad and crop', nodesOf('y = Pad(x, pads)')],
    ['Pad, reflecting', nodesOf('y = Pad(x, pads2, , padAxes; mode="reflect")'), 18],
    ['Pad, repeating the edge', nodesOf('y = Pad(x, pads2, , padAxes; mode="edge")'), 18],
    ['Tile', nodesOf('y = Tile(x, two)')],
    ['Expand', nodesOf('y = Expand(x, target)')],
    ['Flatten', nodesOf('y = Flatten(x; axis=2)')],
    [
      'Unsqueeze and Squeeze',
      nodesOf(`
        u = Unsqueeze(x, axes)
        y = Squeeze(u)
      `),
    ],
    [
      'DepthToSpace',
      nodesOf(`
        m = Reshape(x, wide)
        y = DepthToSpace(m; blocksize=2)
      `),
    ],
    [
      'DepthToSpace, column first',
      nodesOf(`
        m = Reshape(x, wide)
        y = DepthToSpace(m; blocksize=2, mode="CRD")
      `),
    ],
    [
      'SpaceToDepth',
      nodesOf(`
        m = Reshape(x, wide)
        y = SpaceToDepth(m; blocksize=2)
      `),
    ],
    [
      'Concat of pieces',
      nodesOf(`
        p = Slice(x, s, e, a, step)
        y = Concat(p, x; axis=1)
      `),
    ],
  ])('%s', async (_, steps, opset) => {
    const { nodes } = await importAndCompare({ nodes: steps, initializers: list, opset });
    expect(opsOf(nodes).every((op) => op === 'gather')).toBe(true);
  });

  test('Split with and without sizes', async () => {
    const { nodes } = await importAndCompare({
      nodes: [
        { op: 'Split', in: ['x', 'parts'], out: ['a1', 'a2'], attributes: { axis: 1 } },
        { op: 'Split', in: ['x'], out: ['b1', 'b2'], attributes: { axis: 2 } },
        ...nodesOf(`
          c = Concat(a2, a1; axis=1)
          d = Concat(b2, b1; axis=2)
          y = Add(c, d)
        `),
      ],
      initializers: list,
    });
    expect(opsOf(nodes)).toContain('add');
  });

  test('a roll costs one gather, a roll and its inverse none', async () => {
    const roll = (input: string, output: string, at: string) =>
      nodesOf(`
        ${output}1 = Slice(${input}, ${at}, end, a)
        ${output}2 = Slice(${input}, start, ${at}, a)
        ${output} = Concat(${output}1, ${output}2; axis=1)
      `);
    const initializers = { ...list, one: ints([1]), three: ints([3]), start: ints([0]), end: ints([1000]) };
    expect(opsOf((await importAndCompare({ nodes: roll('x', 'y', 'one'), initializers })).nodes)).toEqual(['gather']);
    const both = [...roll('x', 'r', 'one'), ...roll('r', 'u', 'three'), ...nodesOf('y = Relu(u)')];
    expect(opsOf((await importAndCompare({ nodes: both, initializers })).nodes)).toEqual(['activation']);
  });
});

/** Adds a constant expression to the tokens, so that folding it is compared with what ONNX Runtime computes. */
async function foldsTo(
  steps: readonly NodeSpec[],
  initializers: Record<string, TensorSpec>,
  opset?: number,
): Promise<void> {
  const { nodes } = await importAndCompare({
    nodes: [...nodesOf('r = Relu(x)'), ...steps, ...nodesOf('y = Add(r, c)')],
    initializers,
    opset,
  });
  expect(nodes.every((node) => ['activation', 'affine', 'addConst'].includes(node.op))).toBe(true);
}

describe('constants fold as ONNX Runtime computes them', () => {
  const a = random([TOKENS, CHANNELS], 31);
  const b = random([CHANNELS], 32);
  const bool = { dims: [CHANNELS], dataType: 9, rawData: Uint8Array.from({ length: CHANNELS }, (_, i) => i % 2) };
  const float = (input: string): string => `c = Cast(${input}; to=1)`;
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

  test.each<[string, readonly NodeSpec[], number?]>([
    [
      'arithmetic',
      nodesOf(`
        d = Sub(a, b)
        e = Div(d, two)
        f = Abs(e)
        c = Sqrt(f)
      `),
    ],
    [
      'integer division and modulus',
      nodesOf(`
        d = Div(n, m)
        o = Mod(n, m)
        p = Mul(d, o)
        ${float('p')}
      `),
    ],
    [
      'comparisons and logic',
      nodesOf(`
        g = Greater(a, b)
        h = Not(g)
        o = Or(g, bool)
        p = And(o, h)
        ${float('p')}
      `),
    ],
    ['Where', nodesOf('c = Where(bool, a, b)')],
    [
      'Range and Expand',
      nodesOf(`
        r2 = Range(zero, eight, one)
        e = Expand(r2, dims)
        ${float('e')}
      `),
    ],
    [
      'Shape, ConstantOfShape',
      [
        ...nodesOf('s = Shape(a)'),
        { op: 'ConstantOfShape', in: ['s'], out: ['o'], attributes: { value: floats([1], [3]) } },
        ...nodesOf('c = Add(o, a)'),
      ],
    ],
    [
      'Erf, Tanh, Sigmoid, Exp',
      nodesOf(`
        d = Erf(a)
        e = Tanh(d)
        f = Sigmoid(e)
        c = Exp(f)
      `),
    ],
    ['a product', nodesOf('c = MatMul(a, w)')],
    ['LayerNormalization', nodesOf('c = LayerNormalization(a, b, b)')],
    ['Softmax', nodesOf('c = Softmax(a; axis=-1)')],
    [
      'reductions',
      nodesOf(`
        s = ReduceSum(a, axis)
        m2 = ReduceMax(a; axes=[0])
        c = Add(s, m2)
      `),
    ],
    ['CumSum', nodesOf('c = CumSum(a, one)')],
    ['OneHot', nodesOf('c = OneHot(hot, depth, values)')],
    ['Trilu', nodesOf('c = Trilu(a; upper=0)')],
    ['ScatterND', nodesOf('c = ScatterND(a, at, rows)')],
    [
      'Resize, cubic, to sizes',
      nodesOf(`
        z = Resize(pos, , , sizes; mode="cubic", coordinate_transformation_mode="pytorch_half_pixel")
        c = Reshape(z, rowsCols)
      `),
    ],
    [
      'Resize, cubic, by scales',
      nodesOf(`
        z = Resize(pos, roi, scales; mode="cubic")
        c = Reshape(z, rowsCols)
      `),
    ],
    [
      'Resize, linear, aligned corners',
      nodesOf(`
        z = Resize(pos, , , sizes; mode="linear", coordinate_transformation_mode="align_corners")
        c = Reshape(z, rowsCols)
      `),
    ],
    [
      'Resize, nearest',
      nodesOf(`
        z = Resize(pos, , , sizes; mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
        c = Reshape(z, rowsCols)
      `),
    ],
    [
      'If with a known condition',
      [
        ...nodesOf('yes = Greater(eight, zero)'),
        {
          op: 'If',
          in: ['yes'],
          out: ['c'],
          attributes: {
            then_branch: { nodes: nodesOf('t = Abs(a)'), outputs: ['t'] },
            else_branch: { nodes: nodesOf('t2 = Exp(a)'), outputs: ['t2'] },
          },
        },
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
    ['a shape from activations', { nodes: nodesOf('y = Reshape(x, x)') }, /depends on the image/],
    [
      'an index out of range',
      { nodes: nodesOf('y = Gather(x, far; axis=1)'), initializers: { far: ints([9]) } },
      /index 9/,
    ],
    [
      'a huge constant',
      {
        nodes: nodesOf(`
          c = ConstantOfShape(dims)
          y = Add(x, c)
        `),
        initializers: { dims: ints([100000, 100000]) },
      },
      /too many elements/,
    ],
    ['a huge axis', { nodes: nodesOf('y = Tile(x, n)'), initializers: { n: ints([1, 2 ** 30, 1]) } }, /impossible/],
  ])('%s', async (_, tail, cause) => {
    await expect(importAndCompare(tail, { skipRuntime: true })).rejects.toThrow(cause);
  });

  test('all of several problems are listed', async () => {
    const several = importAndCompare({
      nodes: nodesOf(`
      a = LSTM(x)
      y = GRU(a)
    `),
    });
    await expect(several).rejects.toMatchObject({ exitCode: 3, problems: [{ op: 'LSTM' }, { op: 'GRU' }] });
  });
});
