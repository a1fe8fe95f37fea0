import { describe, expect, test } from 'vitest';
import { importModel } from '../../../src/importer/index.js';
import { ints, random, writeModel } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, opsOf, TOKENS, withStem } from '../idioms/stem.js';

const initializers = {
  size: ints([3, 3]),
  block: ints([2, 2]),
  line: ints([9]),
  run: ints([3]),
  small: ints([4, 4]),
  spread: random([CHANNELS, 12], 5),
};
/** x [1, TOKENS, CHANNELS] as windows [1, CHANNELS, TOKENS] of 2×2 pixels and 2 channels. */
const windows = 'w = Transpose(x; perm=[0, 2, 1])';

describe('Col2Im', () => {
  test('windows that overlap are summed', async () => {
    const { nodes } = await importAndCompare({
      opset: 18,
      nodes: nodesOf(`${windows}\ny = Col2Im(w, size, block)`),
      initializers,
    });
    expect(opsOf(nodes)).toContain('mixRows');
  });

  test('with strides and pads', async () => {
    await importAndCompare({
      opset: 18,
      nodes: nodesOf(`${windows}\ny = Col2Im(w, small, block; strides=[3, 3], pads=[1, 0, 0, 1])`),
      initializers,
    });
  });

  test('windows of another number are refused', async () => {
    const nodes = nodesOf(`${windows}\ny = Col2Im(w, small, block)`);
    const refused = importModel(writeModel(withStem({ opset: 18, nodes, initializers })));
    await expect(refused).rejects.toThrow(`windows [${CHANNELS}, ${TOKENS}] do not make a map of 4×4`);
  });
});
