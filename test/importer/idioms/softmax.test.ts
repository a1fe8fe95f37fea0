import { describe, expect, test } from 'vitest';
import { InputError } from '../../../src/errors.js';
import { importModel } from '../../../src/importer/index.js';
import type { NodeSpec } from '../../onnx/build.js';
import { ints, writeModel } from '../../onnx/build.js';
import { chain, importAndCompare, withStem, type Step } from './stem.js';

const initializers = { last: ints([-1]) };
const scores: readonly Step[] = [
  ['Transpose', ['x'], 'xT', { perm: [0, 2, 1] }],
  ['MatMul', ['x', 'xT'], 's'],
];
const values: Step = ['MatMul', ['p', 'x'], 'y'];
const attention = (...softmax: readonly Step[]): readonly NodeSpec[] => chain(...scores, ...softmax, values);
const rest: readonly Step[] = [
  ['Exp', ['d'], 'e'],
  ['ReduceSum', ['e', 'last'], 't', { keepdims: 1 }],
  ['Div', ['e', 't'], 'p'],
];
const maximum = (axes: readonly number[], of = 's'): Step => ['ReduceMax', [of], 'm', { axes, keepdims: 1 }];

describe('softmax written out', () => {
  test.each<[string, readonly NodeSpec[]]>([
    ['less the maximum', attention(maximum([-1]), ['Sub', ['s', 'm'], 'd'], ...rest)],
    ['plus the negative maximum', attention(maximum([2]), ['Neg', ['m'], 'n'], ['Add', ['n', 's'], 'd'], ...rest)],
    ['as it is', attention(['Identity', ['s'], 'd'], ...rest)],
  ])('%s', async (_, nodes) => {
    const result = await importAndCompare({ nodes, initializers });
    expect(result.nodes).toMatchObject([{ op: 'attention', heads: 1 }]);
  });

  test.each<[string, readonly NodeSpec[]]>([
    ['the maximum of other rows', attention(maximum([1]), ['Sub', ['s', 'm'], 'd'], ...rest)],
    [
      'a sum of another exponential',
      attention(
        maximum([-1]),
        ['Sub', ['s', 'm'], 'd'],
        ['Exp', ['d'], 'e'],
        ['Exp', ['s'], 'f'],
        ['ReduceSum', ['f', 'last'], 't', { keepdims: 1 }],
        ['Div', ['e', 't'], 'p'],
      ),
    ],
    ['a maximum of something else', attention(maximum([-1], 'x'), ['Sub', ['s', 'm'], 'd'], ...rest)],
  ])('%s is refused', async (_, nodes) => {
    await expect(importModel(writeModel(withStem({ nodes, initializers })))).rejects.toThrow(InputError);
  });
});
