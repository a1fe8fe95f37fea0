/** Small ONNX files that ask for much: each is refused for a stated limit, before the work. */
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/errors.js';
import { importModel } from '../../src/importer/index.js';
import { withStem, type Tail } from '../importer/idioms/stem.js';
import { nodesOf } from '../onnx/graph-builder.js';
import { floats, ints, writeModel, type ModelSpec, type NodeSpec } from '../onnx/build.js';
import { processorTime } from '../processor-time.js';

/** Longer than any of them takes on a busy machine; the work that they ask for takes minutes. */
const SECONDS = 30;

const chain = (length: number, line: (from: string, to: string) => string, end = 'y'): NodeSpec[] =>
  nodesOf(
    Array.from({ length }, (_, i) => line(i === 0 ? 'x' : `t${i}`, i === length - 1 ? end : `t${i + 1}`)).join('\n'),
  );

/** What makes a constant `c` of one element out of the bomb, and adds it, so that it counts. */
const used = (lines: string): NodeSpec[] => nodesOf(`${lines}\nm = ReduceMean(c; keepdims=0)\ny = Add(x, m)`);

const one = floats([1], [1]);

const TAILS: readonly [what: string, tail: Tail, reason: RegExp][] = [
  [
    'a one-hot tensor of 2^30',
    { nodes: used('c = OneHot(i, n, v)'), initializers: { i: ints([0]), n: ints([2 ** 30]), v: floats([2], [0, 1]) } },
    /too many elements/,
  ],
  [
    'a constant of 2^30',
    { nodes: used('c = ConstantOfShape(n)'), initializers: { n: ints([2 ** 30]) } },
    /too many elements/,
  ],
  [
    'a range of 10^9',
    { nodes: used('c = Range(a, b, d)'), initializers: { a: ints([0], []), b: ints([1e9], []), d: ints([1], []) } },
    /too many elements/,
  ],
  [
    'a tensor repeated 2^28 times',
    { nodes: used('c = Tile(o, n)'), initializers: { o: one, n: ints([2 ** 28]) } },
    /impossible|too many/,
  ],
  [
    'padding of 2^29',
    { nodes: used('c = Pad(o, n)'), initializers: { o: one, n: ints([0, 2 ** 29]) } },
    /impossible|too many/,
  ],
  [
    'an expansion to 2^30',
    { nodes: used('c = Expand(o, n)'), initializers: { o: one, n: ints([2 ** 30]) } },
    /too many elements/,
  ],
  [
    'a constant doubled 40 times',
    {
      nodes: [
        ...chain(
          40,
          (from, to) => `${to} = Concat(${from === 'x' ? 'o' : from}, ${from === 'x' ? 'o' : from}; axis=0)`,
          'c',
        ),
        ...used(''),
      ],
      initializers: { o: one },
    },
    /numbers would have to be made|too many elements|is too large/,
  ],
  [
    'an activation doubled 40 times',
    { nodes: chain(40, (from, to) => `${to} = Concat(${from}, ${from}; axis=1)`) },
    /numbers would have to be made|too many elements|is too large/,
  ],
  [
    'products of 5000 by 5000 by 5000',
    {
      nodes: used('a = ConstantOfShape(n)\nb = ConstantOfShape(n)\nc = MatMul(a, b)'),
      initializers: { n: ints([4000, 4000]) },
    },
    /more than 4294967296 multiplications/,
  ],
  [
    'a thousand constants of 2^24',
    {
      nodes: [
        ...nodesOf(Array.from({ length: 1000 }, (_, i) => `c${i} = ConstantOfShape(n)`).join('\n')),
        ...nodesOf(
          Array.from({ length: 1000 }, (_, i) => `d${i} = Add(${i === 0 ? 'o' : `d${i - 1}`}, c${i})`).join('\n'),
        ),
        ...nodesOf('m = ReduceMean(d999; keepdims=0)\ny = Add(x, m)'),
      ],
      initializers: { n: ints([2 ** 24]), o: one },
    },
    /numbers would have to be made/,
  ],
  [
    'a chain of 150 000 nodes',
    { nodes: chain(150_000, (from, to) => `${to} = Neg(${from})`) },
    /more than 100000 nodes/,
  ],
  [
    'a chain of 20 000 sums of a value and itself',
    { nodes: chain(20_000, (from, to) => `${to} = Add(${from}, ${from})`) },
    /cannot be imported|not/,
  ],
];

async function refused(spec: ModelSpec, reason: RegExp): Promise<void> {
  const file = writeModel(spec);
  const start = processorTime();
  const error = await importModel(file).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(InputError);
  expect((error as Error).message).toMatch(reason);
  expect(processorTime() - start).toBeLessThan(1000 * SECONDS);
}

describe('what follows the patches', () => {
  test.each(TAILS)('%s', async (_, tail, reason) => refused(withStem(tail), reason));
});

describe('functions', () => {
  const call = (name: string) => ({ op: name, domain: 'f', in: ['x'], out: ['y'] });
  const functionOf = (name: string, nodes: readonly NodeSpec[]) => ({
    name,
    domain: 'f',
    in: ['x'],
    out: ['y'],
    nodes,
  });

  test('that call the next one twice, 30 deep', async () => {
    const functions = Array.from({ length: 31 }, (_, i) =>
      functionOf(
        `f${i}`,
        i === 30
          ? nodesOf('y = Neg(x)')
          : [
              { op: `f${i + 1}`, domain: 'f', in: ['x'], out: ['t'] },
              { op: `f${i + 1}`, domain: 'f', in: ['t'], out: ['y'] },
            ],
      ),
    );
    await refused(withStem({ nodes: [call('f0')], functions }), /more than 100000/);
  });

  test('of 5000 nodes, called 20 000 times', async () => {
    const body = chain(5000, (from, to) => `${to} = Neg(${from})`);
    const calls = Array.from({ length: 20_000 }, (_, i) => ({
      ...call('f'),
      in: [i === 0 ? 'x' : `s${i}`],
      out: [i === 19_999 ? 'y' : `s${i + 1}`],
    }));
    await refused(withStem({ nodes: calls, functions: [functionOf('f', body)] }), /more than 100000 nodes/);
  });
});

describe('shapes', () => {
  const small = withStem({ nodes: nodesOf('y = Neg(x)') });
  test.each<[string, (number | string)[], RegExp]>([
    ['100 000 by 100 000 pixels', [1, 3, 100_000, 100_000], /sides of at most 8192/],
    ['32 by 2^31 pixels', [1, 3, 32, 2 ** 31], /sides of at most 8192/],
  ])('an image of %s', async (_, dims, reason) => refused({ ...small, inputs: { image: dims } }, reason));

  test('a weight of 200 000 axes', async () => {
    const weight = floats(new Array<number>(200_000).fill(1), [1]);
    await refused(
      withStem({ nodes: nodesOf('y = Add(x, w)'), initializers: { w: weight } }),
      /200000 axes, more than 64/,
    );
  });
});
