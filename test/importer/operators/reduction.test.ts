import { expect, test } from 'vitest';
import { nodesOf } from '../../onnx/graph-builder.js';
import { importAndCompare, opsOf } from '../idioms/stem.js';

test.each([
  ['ReduceL1', ['lookup', 'meanRows', 'affine']],
  ['ReduceLogSumExp', ['maxPool', 'lookup', 'meanRows', 'add']],
  ['ReduceSumSquare', ['meanRows']],
  ['ReduceMin', ['maxPool']],
])('%s along tokens', async (operator, parts) => {
  const { nodes } = await importAndCompare({
    nodes: nodesOf(`
      r = ${operator}(x; axes=[1], keepdims=0)
      y = Tanh(r)
    `),
  });
  expect(opsOf(nodes)).toEqual(expect.arrayContaining(parts));
});

test('ReduceLogSum of positive numbers', async () => {
  await importAndCompare({ nodes: nodesOf('e = Exp(x)\ny = ReduceLogSum(e; axes=[2], keepdims=1)') });
});
