import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/errors.js';
import { activate } from '../../src/kernels/activation.js';
import { paperNormRow, shiftGeluRow, shiftmaxRow } from '../../src/kernels/paper-rows.js';
import { accumulateRow } from '../../src/kernels/linear.js';
import { proveBounds, proveNoOverflow } from '../../src/program/bounds.js';
import type { LinearOp, Op, Output, Program } from '../../src/program/types.js';
import { validateProgram } from '../../src/program/validate.js';
import { tinyPaperProgram, tinyProductProgram, tinyProgram } from './tiny.js';

const tiny = tinyProgram();

/** The tiny program with some fields of one op changed. */
function withOp(name: string, fields: object, program = tiny): Program {
  expect(program.ops.some((op) => op.name === name)).toBe(true);
  return { ...program, ops: program.ops.map((op) => (op.name === name ? ({ ...op, ...fields } as Op) : op)) };
}

function boundOf(program: Program, name: string) {
  return proveBounds(program)[program.ops.findIndex((op) => op.name === name)];
}

/** Both proofs refuse the program, for the same reason. */
function expectRefusal(program: Program, reason: string | RegExp): void {
  for (const prove of [proveBounds, proveNoOverflow]) {
    expect(() => prove(program)).toThrow(reason);
    expect(() => prove(program)).toThrow(InputError);
  }
}

/** What is wrong with a program, or null. */
function refusal(prove: (program: Program) => unknown, program: Program): string | null {
  try {
    prove(program);
    return null;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return error.message;
  }
}

test('the tiny program is valid and cannot overflow', () => {
  validateProgram(tiny);
  expect(proveBounds(tiny)).toHaveLength(tiny.ops.length);
  proveNoOverflow(tiny);
});

/** A program that ends in one linear layer of one channel. */
const linear = (x: Output, weight: number[], bias: number, rowShift = 0): { program: Program; op: LinearOp } => {
  const source: Op = {
    op: 'rescale',
    name: 'x',
    rows: 1,
    cols: weight.length,
    out: x,
    x: 1,
    multiplier: new Int32Array(weight.length),
    offset: new BigInt64Array(weight.length),
    shift: 1,
  };
  const constant: Op = {
    op: 'constant',
    name: 'c',
    rows: 1,
    cols: weight.length,
    out: { type: 'i32' },
    data: new Int32Array(weight.length),
  };
  const op: LinearOp = {
    op: 'linear',
    name: 'y',
    rows: 1,
    cols: 1,
    out: { type: 'i32' },
    x: 2,
    weight: Int8Array.from(weight),
    inFeatures: weight.length,
    weightBits: 8,
    bias: Int32Array.of(bias),
    multiplier: Int32Array.of(1),
    shift: 1,
    rowShift,
    residual: null,
  };
  return { program: { input: { height: 1, width: 1, channels: 3 }, ops: [constant, source, op], output: 3 }, op };
};

describe('linear', () => {
  const weights = fc.array(fc.integer({ min: -127, max: 127 }), { minLength: 1, maxLength: 20 });

  test('the bound of u8 inputs is reached exactly by the worst input', () => {
    fc.assert(
      fc.property(weights, fc.nat(255), fc.integer({ min: -(1 << 30), max: 1 << 30 }), (weight, zero, bias) => {
        const { program, op } = linear({ type: 'u8', zero }, weight, bias);
        validateProgram(program);
        const worst = [1, -1].map((sign) => {
          const data = Uint8Array.from(weight, (w) => (w * sign > 0 ? 255 : 0));
          const acc: number[] = [];
          accumulateRow(op, { data, zero, rowScale: null }, 0, acc);
          return Math.abs(acc[0]);
        });
        expect(boundOf(program, 'y')).toBe(BigInt(Math.max(...worst)));
      }),
    );
  });

  test('no i16 or dynamic input passes the bound', () => {
    fc.assert(
      fc.property(
        weights,
        fc.integer({ min: 12, max: 31 }),
        fc.infiniteStream(fc.integer({ min: -127, max: 127 })),
        (weight, rowShift, codes) => {
          const dynamic = linear({ type: 'rows' }, weight, 77, rowShift);
          const acc: number[] = [];
          const data = Uint8Array.from(weight, () => 128 + codes.next().value);
          accumulateRow(dynamic.op, { data, zero: 128, rowScale: Int32Array.of(1 << 22) }, 0, acc);
          expect(BigInt(Math.abs(acc[0])) <= boundOf(dynamic.program, 'y')).toBe(true);

          const wide = linear({ type: 'i16' }, weight, 77);
          accumulateRow(
            wide.op,
            { data: Int16Array.from(weight, () => 258 * codes.next().value), zero: 0, rowScale: null },
            0,
            acc,
          );
          expect(BigInt(Math.abs(acc[0])) <= boundOf(wide.program, 'y')).toBe(true);
        },
      ),
    );
  });

  test('refuses an accumulator that one input can drive to 2^31, and not one below', () => {
    const limit = 2 ** 31;
    expect(boundOf(linear({ type: 'u8', zero: 0 }, [127], limit - 1 - 255 * 127).program, 'y')).toBe(BigInt(limit - 1));
    expectRefusal(
      linear({ type: 'u8', zero: 0 }, [127], limit - 255 * 127).program,
      'Op "y" (linear): the accumulator of channel 0 can reach 2147483648, which overflows 31 bits and a sign',
    );
  });

  test('dynamic rows at the largest row scale', () => {
    // 127·127·2^22 = 67_649_929_216, above 2^31 unless shifted.
    expectRefusal(linear({ type: 'rows' }, [127], 0, 0).program, /can reach 67649929216/);
    expect(boundOf(linear({ type: 'rows' }, [127], 0, 22).program, 'y')).toBe(16129n);
  });
});

describe('without a look at the weights', () => {
  // Numbers of every size: most layers pass without a look, a few by their weights alone, and some are refused.
  const magnitude = (bits: number) =>
    fc.nat(bits).chain((n) => fc.bigInt({ min: 1n - (1n << BigInt(n)), max: (1n << BigInt(n)) - 1n }));
  const type = fc.constantFrom<Output>(
    { type: 'u8', zero: 0 },
    { type: 'u8', zero: 200 },
    { type: 'i16' },
    { type: 'rows' },
  );
  const weight = fc.array(fc.integer({ min: -127, max: 127 }), { minLength: 1, maxLength: 20 });

  test('a linear layer is refused for the same reason', () => {
    fc.assert(
      fc.property(
        type,
        weight,
        magnitude(31),
        magnitude(31),
        fc.integer({ min: 1, max: 62 }),
        fc.nat(31),
        (x, w, bias, multiplier, shift, rowShift) => {
          const { program, op } = linear(x, w, Number(bias), x.type === 'rows' ? rowShift : 0);
          const changed = {
            ...program,
            ops: program.ops.map((one) =>
              one === op ? { ...op, multiplier: Int32Array.of(Number(multiplier)), shift } : one,
            ),
          };
          validateProgram(changed);
          expect(refusal(proveNoOverflow, changed)).toBe(refusal(proveBounds, changed));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('activation', () => {
  test('no input passes the bound', () => {
    const knots = fc.array(fc.integer({ min: -2000, max: 2000 }), { minLength: 64, maxLength: 64 });
    fc.assert(
      fc.property(knots, fc.integer({ min: 4, max: 8 }), (values, spacing) => {
        const program = withOp('gelu', { knots: Int16Array.from(values), spacing });
        const bound = Number(boundOf(program, 'gelu'));
        const table = Int16Array.from(values);
        let most = 0;
        for (let x = -32767; x <= 32767; x += 7) most = Math.max(most, Math.abs(activate(x, table, spacing)));
        expect(most).toBeLessThanOrEqual(bound);
      }),
      { numRuns: 20 },
    );
  });

  test('refuses knots whose result or whose step leaves 16 bits', () => {
    expectRefusal(
      withOp('gelu', { knots: new Int16Array(64).fill(-300), spacing: 9 }),
      /the result after knot 63 can reach/,
    );
    const steep = new Int16Array(64);
    steep[3] = 20000;
    steep[4] = -20000;
    expectRefusal(withOp('gelu', { knots: steep }), /the step after knot 3 can reach 40000/);
  });
});

describe('the published kernels', () => {
  const paper = tinyPaperProgram();
  const x0 = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 1 << 15 })).map((unit) => -unit);
  const most = (row: readonly bigint[]) => row.reduce((a, b) => ((b < 0n ? -b : b) > a ? (b < 0n ? -b : b) : a), 0n);

  test('no row of a norm passes the bound', () => {
    const bound = boundOf(paper, 'norm1');
    const value = fc.oneof(
      fc.integer({ min: -16777215, max: 16777215 }),
      fc.integer({ min: -9, max: 9 }),
      fc.constantFrom(-16777215, 16777215),
    );
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 40 }), (row) => {
        expect(most(paperNormRow(Int32Array.from(row))) <= bound).toBe(true);
      }),
    );
  });

  test('no row of an activation passes the bound', () => {
    const value = fc.oneof(fc.integer({ min: -127, max: 127 }), fc.constantFrom(-127, 127));
    fc.assert(
      fc.property(x0, fc.array(value, { minLength: 1, maxLength: 20 }), (unit, row) => {
        expect(most(shiftGeluRow(row, BigInt(unit))) <= boundOf(withOp('gelu', { x0: unit }, paper), 'gelu')).toBe(
          true,
        );
      }),
    );
  });

  test('no row of attention passes the bound, which grows with the keys once the sum may be cut off', () => {
    const score = fc.oneof(fc.integer({ min: -127, max: 127 }), fc.constant(127));
    const softmax = (unit: number, bits: 8 | 16) => ({ softmax: { kind: 'paper', x0: unit, bits } });
    fc.assert(
      fc.property(
        x0,
        fc.constantFrom(8 as const, 16 as const),
        fc.array(score, { minLength: 1, maxLength: 60 }),
        (unit, bits, row) => {
          const sum = shiftmaxRow(Int32Array.from(row), BigInt(unit), bits).reduce((a, b) => a + b, 0n);
          const program = withOp(
            'attn',
            { ...softmax(unit, bits), keys: row.length, multiplier: new Int32Array(8) },
            paper,
          );
          expect(sum * 127n <= boundOf(program, 'attn')).toBe(true);
        },
      ),
    );
    expect(boundOf(withOp('attn', { ...softmax(-7, 16), keys: 5000 }, paper), 'attn')).toBe(127n * 32767n);
    expectRefusal(
      withOp('attn', { ...softmax(-32768, 16), keys: 517 }, paper),
      /the weighted sum of values can reach 2151448453/,
    );
  });

  test('constants outside their range are refused', () => {
    for (const unit of [0, 1, -32769, -1.5]) {
      expect(() => validateProgram(withOp('gelu', { x0: unit }, paper))).toThrow(/x0 is/);
      expect(() => validateProgram(withOp('attn', { softmax: { kind: 'paper', x0: unit, bits: 8 } }, paper))).toThrow(
        /x0 is/,
      );
    }
    expect(() => validateProgram(withOp('attn', { softmax: { kind: 'paper', x0: -7, bits: 12 } }, paper))).toThrow(
      /12 bits, not 8 or 16/,
    );
  });
});

describe('requantization', () => {
  test.each([
    [
      'norm1',
      { offset: new BigInt64Array(8).fill(1n << 62n), shift: 62, multiplier: new Int32Array(8).fill(-(2 ** 31)) },
      /"norm1" \(layerNorm\): the requantization of channel 0 can reach 9223372036854775808/,
    ],
    [
      'norm1',
      { offset: new BigInt64Array(8).fill(-(1n << 63n)), shift: 62, multiplier: new Int32Array(8).fill(-(2 ** 31)) },
      /the requantization/,
    ],
    [
      'quantize',
      { offset: new BigInt64Array(8).fill((1n << 63n) - 1n) },
      /"quantize" \(rescale\): the offset of channel 0/,
    ],
    [
      'pool',
      { group: 2 ** 20, multiplier: new Int32Array(8).fill(2 ** 31 - 1) },
      /"pool" \(meanRows\): the product of channel 0/,
    ],
    ['attn', { keys: 70_000 }, /"attn" \(attention\): the weighted sum of values can reach 2266950000/],
    ['attn', { keys: 4200, softmaxBits: 12 }, /"attn" \(attention\): the weighted sum of values can reach 2176272000/],
    ['attn', { dim: 140_000 }, /"attn" \(attention\): the score can reach 2258060000/],
    ['norm1', { cols: 40_000 }, /"norm1" \(layerNorm\): the sum of squares can reach/],
  ])('%s that overflows is refused', (name, fields, reason) => {
    expectRefusal(withOp(name, fields), reason);
  });
});

describe('ops that combine two values, or apply any function', () => {
  const products = tinyProductProgram();

  test('cannot overflow, by the most that any operands give', () => {
    validateProgram(products);
    proveNoOverflow(products);
    const most = 32767n * 32767n;
    expect(boundOf(products, 'gated')).toBe(most);
    expect(boundOf(products, 'tanh')).toBe(2n ** 21n);
    expect(boundOf(products, 'mean')).toBe(2n ** 31n - 1n);
    expect(boundOf(withOp('mean', { bits: 7 }, products), 'mean')).toBe((2n ** 24n - 1n) << 7n);
    expect(boundOf(products, 'softmax')).toBe(65536n);
    expect(boundOf(products, 'turned')).toBe(2n * most);
    expect(boundOf(products, 'scores')).toBe(4n * most);
  });

  test('are refused where a requantization passes 63 bits', () => {
    const offset = new BigInt64Array(8);
    offset[5] = 2n ** 63n - 1n;
    for (const name of ['gated', 'tanh', 'mean', 'softmax', 'turned', 'scores'])
      expectRefusal(withOp(name, { offset }, products), `"${name}"`);
  });

  test.each<[string, string, object, RegExp]>([
    ['a factor of another type', 'gated', { b: 2 }, /b has type i32, not i16/],
    ['a divisor of other columns', 'mean', { b: 13 }, /reads value 13/],
    ['too many bits', 'mean', { bits: 29 }, /bits is 29, not an integer within 0 to 28/],
    ['a table that is too short', 'tanh', { table: new Int32Array(256) }, /table has 256 elements, not 257/],
    ['a table beyond its limit', 'tanh', { table: new Int32Array(257).fill(2 ** 21 + 1) }, /table\[0\] is 2097153/],
    ['a softmax of 7 fraction bits', 'softmax', { fractionBits: 7 }, /fractionBits is 7/],
    ['a rotation of another type', 'turned', { x: 8 }, /x has type i32, not i16/],
    ['a rotation of other rows', 'turned', { x: 4 }, /x has 1 rows, not 4/],
    ['a rotation past its rows', 'turned', { column: 1 }, /reads up to column 9 of rows of 8/],
    ['a rotation before its rows', 'turned', { column: -1 }, /column is -1/],
    ['a sine of other columns', 'turned', { sin: 4 }, /sin has 8 columns, cos has 4/],
    ['a sine of other rows', 'sin', { rows: 1, data: new Int16Array(4) }, /sin has 4 elements, not 8/],
    ['a partner outside', 'turned', { partner: new Int32Array(8).fill(8) }, /partner\[0\] is 8, not within 0 to 7/],
    ['partners too few', 'turned', { partner: new Int32Array(7) }, /partner has 7 elements, not 8/],
    ['a view past its rows', 'scores', { k: 5 }, /a reads up to column 9 of rows of 8/],
    ['windows that are not the rows', 'scores', { m: 3 }, /1 windows of 3 rows are not 4 rows/],
  ])('%s is refused', (_, name, fields, reason) => {
    expect(() => validateProgram(withOp(name, fields, products))).toThrow(reason);
  });

  test('operands that cannot be broadcast are refused', () => {
    const constant = (rows: number, cols: number) => {
      const data = new Int16Array(rows * cols);
      return withOp('gate', { rows, cols, data }, products);
    };
    validateProgram(constant(2, 8));
    validateProgram(constant(2, 1));
    validateProgram(constant(8, 4));
    expect(() => validateProgram(constant(3, 8))).toThrow(/b has 3 rows, which do not divide 4/);
    expect(() => validateProgram(constant(4, 4))).toThrow(/b has 4 columns, not 8 or 1/);

    const tables = (rows: number, cols: number) => {
      const data = new Int16Array(rows * cols);
      return withOp('cos', { rows, cols, data }, withOp('sin', { rows, cols, data }, products));
    };
    validateProgram(tables(4, 1));
    validateProgram(tables(1, 8));
    expect(() => validateProgram(tables(3, 4))).toThrow(/cos has 3 rows, which do not divide 4/);
    expect(() => validateProgram(tables(4, 3))).toThrow(/cos has 3 columns, which do not divide 8/);
  });
});
