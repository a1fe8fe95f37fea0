import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runOp } from '../../src/engine/reference.js';
import type { Value } from '../../src/engine/types.js';
import { RUNNERS } from './backends.js';
import { ALGEBRA_CASES } from './random-algebra.js';
import { MAP_CASES } from './random-map-ops.js';
import { CASES, assertComplete } from './random-ops.js';
import type { OpCase } from './random-ops.js';

function expectSame(actual: Value, expected: Value): void {
  expect(actual.data.constructor).toBe(expected.data.constructor);
  const at = expected.data.findIndex((v, i) => actual.data[i] !== v);
  if (at >= 0 || actual.data.length !== expected.data.length) {
    expect(`[${Math.trunc(at / expected.cols)}, ${at % expected.cols}] = ${actual.data[at]}`).toBe(
      `${expected.data[at]}`,
    );
  }
  expect(actual.rowScale).toEqual(expected.rowScale);
}

describe.each(RUNNERS)('$name equals the reference on every bit', ({ runner }) => {
  it.each(Object.entries({ ...CASES, ...ALGEBRA_CASES, ...MAP_CASES }))('%s', (_, cases: fc.Arbitrary<OpCase>) => {
    fc.assert(
      fc.property(cases, (c) => {
        assertComplete(c);
        const loaded = runner.load(c.op, c.operands, c.input);
        expectSame(loaded.run(c.operands), runOp(c.op, c.operands, c.input));
        loaded.free();
      }),
      { numRuns: 150 },
    );
  });
});
