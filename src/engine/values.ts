import type { Program, ValueType } from '../program/types.js';
import type { IntegerArray } from '../program/value.js';
import type { Value } from './types.js';

/** Type and shape of a value. */
export type ValueSpec = Omit<Value, 'data' | 'rowScale'>;

/** What an engine copies into its own memory. */
export type ValueData = Pick<Value, 'data' | 'rowScale'>;

const ARRAYS: Record<ValueType, new (length: number) => IntegerArray> = {
  u8: Uint8Array,
  rows: Uint8Array,
  i8: Int8Array,
  i16: Int16Array,
  i32: Int32Array,
};

/** An empty value of a type and shape. */
export function allocate({ out, rows, cols }: ValueSpec): Value {
  const data = new ARRAYS[out.type](rows * cols);
  return { out, rows, cols, data, rowScale: out.type === 'rows' ? new Int32Array(rows) : null };
}

/** Refuses data of another type or size than a program was loaded for: it would be copied over its neighbours. */
export function checkOperands(specs: readonly ValueSpec[], values: readonly ValueData[]): void {
  if (values.length !== specs.length)
    throw new RangeError(`Expected ${specs.length} operands but received ${values.length}`);
  specs.forEach(({ out, rows, cols }, i) => {
    const { data, rowScale } = values[i];
    if (!(data instanceof ARRAYS[out.type]) || data.length !== rows * cols) {
      throw new RangeError(
        `Expected ${ARRAYS[out.type].name} of ${rows * cols} for operand ${i} but received ` +
          `${data.constructor.name} of ${data.length}`,
      );
    }
    const scales = out.type === 'rows' ? rows : 0;
    if ((rowScale?.length ?? 0) !== scales) {
      throw new RangeError(`Expected ${scales} row scales for operand ${i} but received ${rowScale?.length ?? 0}`);
    }
  });
}

/** The value 0 of a program, as the engines take it. */
export function imageData(pixels: Uint8Array): ValueData {
  return { data: pixels, rowScale: null };
}

/** The value 0 of a program: u8 pixels, HWC. */
export function imageValue(input: Program['input'], pixels: Uint8Array): Value {
  return {
    out: { type: 'u8', zero: 0 },
    rows: input.height * input.width,
    cols: input.channels,
    data: pixels,
    rowScale: null,
  };
}
