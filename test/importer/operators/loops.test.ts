import { expect, test } from 'vitest';
import { floats, ints } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { importAndCompare, opsOf } from '../idioms/stem.js';

const BOOL = 9;
const INT64 = 7;
const FLOAT = 1;

test('Loop of a known number of turns, with values carried and collected', async () => {
  const { nodes } = await importAndCompare({
    nodes: [
      {
        op: 'Loop',
        in: ['turns', '', 'x'],
        out: ['last', 'all'],
        attributes: {
          body: {
            given: { i: INT64, goesOn: BOOL, carried: FLOAT },
            nodes: nodesOf(`
              still = Identity(goesOn)
              f = Cast(i; to=1)
              t = Add(carried, f)
              next = Tanh(t)
              row = ReduceMean(next; axes=[1], keepdims=0)
            `),
            outputs: ['still', 'next', 'row'],
            types: { still: BOOL },
          },
        },
      },
      ...nodesOf('m = ReduceMean(all; axes=[0], keepdims=0)\ny = Add(last, m)'),
    ],
    initializers: { turns: ints([3], []) },
  });
  expect(opsOf(nodes).filter((op) => op === 'lookup')).toHaveLength(3);
});

test('Scan along the tokens, from the last to the first', async () => {
  await importAndCompare({
    nodes: [
      ...nodesOf('start = ReduceMean(x; axes=[1], keepdims=0)'),
      {
        op: 'Scan',
        in: ['start', 'x'],
        out: ['end', 'each'],
        attributes: {
          num_scan_inputs: 1,
          scan_input_axes: [1],
          scan_input_directions: [1],
          scan_output_axes: [1],
          scan_output_directions: [1],
          body: {
            given: { state: FLOAT, token: FLOAT },
            nodes: nodesOf('s = Add(state, token)\nnext = Mul(s, half)\nout = Tanh(next)'),
            outputs: ['next', 'out'],
          },
        },
      },
      ...nodesOf('y = Add(each, end)'),
    ],
    initializers: { half: floats([], [0.5]) },
  });
});

test('a loop that ends by what the image shows is refused', async () => {
  const tail = {
    nodes: [
      {
        op: 'Loop',
        in: ['turns', 'yes', 'x'],
        out: ['y'],
        attributes: {
          body: {
            given: { i: INT64, goesOn: BOOL, carried: FLOAT },
            nodes: nodesOf(`
              next = Tanh(carried)
              m = ReduceMax(next; keepdims=0)
              still = Greater(m, half)
            `),
            outputs: ['still', 'next'],
            types: { still: BOOL },
          },
        },
      },
    ],
    initializers: {
      turns: ints([3], []),
      yes: { dims: [], dataType: BOOL, rawData: Uint8Array.of(1) },
      half: floats([], [0.5]),
    },
  };
  await expect(importAndCompare(tail, { skipRuntime: true })).rejects.toThrow(/goes on depends on the image/);
});
