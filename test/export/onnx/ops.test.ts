import fc from 'fast-check';
import { expect, test } from 'vitest';
import { runOp } from '../../../src/engine/reference.js';
import type { Value } from '../../../src/engine/types.js';
import { IntegerGraph } from '../../../src/export/onnx/graph.js';
import { writeOp } from '../../../src/export/onnx/ops/index.js';
import { held, type GraphValue } from '../../../src/export/onnx/value.js';
import { ALGEBRA_CASES } from '../../engine/random-algebra.js';
import { MAP_CASES } from '../../engine/random-map-ops.js';
import { CASES, assertComplete, type OpCase } from '../../engine/random-ops.js';
import { runOnnx, type Fed } from './onnxruntime.js';

const ARRAYS = { uint8: Uint8Array, int8: Int8Array, int32: Int32Array };

/** An op alone: its operands are the inputs of the graph. */
async function run({ op, operands, input }: OpCase): Promise<{ data: number[]; rowScale: number[] | null }> {
  const g = new IntegerGraph();
  const feeds: Record<string, Fed> = {};
  const values = operands.map(({ out, rows, cols, data, rowScale }: Value, i): GraphValue => {
    const type = held(out);
    feeds[`x${i}`] = { data: ARRAYS[type].from(data), dims: [rows, cols] };
    if (rowScale !== null) feeds[`s${i}`] = { data: rowScale, dims: [rows, 1] };
    const scale = rowScale === null ? null : { name: `s${i}`, type: 'int32' as const };
    return { out, rows, cols, data: { name: `x${i}`, type }, rowScale: scale };
  });
  const inputs = Object.entries(feeds).map(([name, { data, dims }]) => ({
    name,
    type: data instanceof Uint8Array ? 'uint8' : data instanceof Int8Array ? 'int8' : 'int32',
    shape: dims,
  })) as { name: string; type: 'uint8' | 'int8' | 'int32'; shape: readonly number[] }[];
  const result = writeOp(g, op, values, input);
  expect(result.data.type).toBe(held(op.out));
  const outputs = [{ name: 'y', type: held(op.out), shape: [op.rows, op.cols], of: result.data }];
  const scales =
    result.rowScale === null
      ? []
      : [{ name: 'scale', type: 'int32' as const, shape: [op.rows, 1], of: result.rowScale }];
  const [{ y, scale }] = await runOnnx(g.encode('op', inputs, [...outputs, ...scales]), [feeds]);
  expect(y.dims).toEqual([op.rows, op.cols]);
  const numbers = ({ data }: { data: unknown }): number[] => Array.from(data as Int32Array);
  return { data: numbers(y), rowScale: scales.length === 0 ? null : numbers(scale) };
}

test.each(Object.entries({ ...CASES, ...ALGEBRA_CASES, ...MAP_CASES }))(
  '%s gives the integers of the reference in ONNX Runtime',
  async (_, cases: fc.Arbitrary<OpCase>) => {
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        assertComplete(c);
        const expected = runOp(c.op, c.operands, c.input);
        const { data, rowScale } = await run(c);
        expect(data).toEqual(Array.from(expected.data));
        expect(rowScale).toEqual(expected.rowScale === null ? null : Array.from(expected.rowScale));
      }),
      { numRuns: 40 },
    );
  },
);
