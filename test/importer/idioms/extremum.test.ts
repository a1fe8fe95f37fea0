import { describe, expect, test } from 'vitest';
import { random } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { CHANNELS, importAndCompare, opsOf } from './stem.js';

const initializers = {
  bounds: random([CHANNELS], 5),
  weight: random([CHANNELS, CHANNELS], 6),
};

describe('the larger or smaller of two', () => {
  test.each(['Max', 'Min'])('%s with a constant for each channel', async (operator) => {
    const { nodes } = await importAndCompare({ nodes: nodesOf(`y = ${operator}(x, bounds)`), initializers });
    expect(opsOf(nodes)).toContain('activation');
  });

  test.each(['Max', 'Min'])('%s of two activations', async (operator) => {
    const { nodes } = await importAndCompare({
      nodes: nodesOf(`m = MatMul(x, weight)\ny = ${operator}(m, x)`),
      initializers,
    });
    expect(opsOf(nodes)).toEqual(expect.arrayContaining(['activation', 'add']));
  });

  test('a choice between two activations is refused', async () => {
    const mixed = importAndCompare({
      nodes: nodesOf('m = MatMul(x, weight)\nc = Greater(x, m)\ny = Where(c, x, m)'),
      initializers,
    });
    await expect(mixed).rejects.toThrow(/depends on a threshold/);
  });
});
