import type { AttentionOp, GatherOp, LinearOp, MeanRowsOp, Op, Output, Program } from '../program/types.js';
import { operandsOf } from '../program/operands.js';
import { activate } from '../kernels/activation.js';
import { attendRow } from '../kernels/attention.js';
import { requantize } from '../kernels/dyadic.js';
import { cutPatches, gatherPieces } from '../kernels/layout.js';
import { accumulateRow, addWide } from '../kernels/linear.js';
import { normalizeRow } from '../kernels/norm.js';
import { paperNormRow, shiftGeluRow } from '../kernels/paper-rows.js';
import { outputRange, quantizeRow } from '../kernels/output.js';
import type { Engine, OpRunner, Value } from './types.js';
import { allocate, checkOperands, imageData, imageValue } from './values.js';

/** Interprets one op with `src/kernels`: slow, readable, what every other backend must equal bit for bit. */
export function runOp(op: Op, operands: readonly Value[], input: Program['input']): Value {
  switch (op.op) {
    case 'patches': {
      const value = allocate(op);
      cutPatches(
        op,
        operands[0].data as Uint8Array,
        input.height,
        input.width,
        input.channels,
        value.data as Uint8Array,
      );
      return value;
    }
    case 'constant':
      return { ...allocate(op), data: op.data.slice() };
    case 'linear':
      return runLinear(op, operands);
    case 'attention':
      return runAttention(op, operands);
    case 'gather':
      return runGather(op, operands);
    case 'meanRows':
      return runMeanRows(op, operands[0]);
    case 'layerNorm': {
      const x = operands[0].data as Int32Array;
      const normalized = new Int32Array(op.cols);
      const { lo, hi } = outputRange(op.out);
      return byRow(op, (r, row) => {
        normalizeRow(x.subarray(r * op.cols, (r + 1) * op.cols), op.center, op.epsilon, normalized);
        for (let n = 0; n < op.cols; n++) {
          row[n] = requantize(normalized[n], op.multiplier[n], op.shift, op.offset[n], lo, hi);
        }
      });
    }
    case 'activation': {
      const x = operands[0].data;
      const { lo, hi } = outputRange(op.out);
      return byRow(op, (r, row) => {
        for (let n = 0; n < op.cols; n++) {
          const y = activate(x[r * op.cols + n], op.knots, op.spacing);
          row[n] = requantize(y, op.multiplier[n], op.shift, op.offset[n], lo, hi);
        }
      });
    }
    case 'paperNorm':
    case 'paperGelu': {
      const x = operands[0].data;
      const { lo, hi } = outputRange(op.out);
      return byRow(op, (r, row) => {
        const run = x.subarray(r * op.cols, (r + 1) * op.cols);
        const y = op.op === 'paperNorm' ? paperNormRow(run as Int32Array) : shiftGeluRow(run, BigInt(op.x0));
        for (let n = 0; n < op.cols; n++)
          row[n] = requantize(Number(y[n]), op.multiplier[n], op.shift, op.offset[n], lo, hi);
      });
    }
    case 'rescale': {
      const x = operands[0].data;
      const { lo, hi } = outputRange(op.out);
      return byRow(op, (r, row) => {
        for (let n = 0; n < op.cols; n++) {
          row[n] = requantize(x[r * op.cols + n], op.multiplier[n], op.shift, op.offset[n], lo, hi);
        }
      });
    }
    case 'add': {
      const [a, b] = operands;
      return byRow(op, (r, row) => {
        for (let n = 0, i = r * op.cols; n < op.cols; n++, i++) row[n] = addWide(a.data[i], b.data[i]);
      });
    }
  }
}

function runLinear(op: LinearOp, [x, residual]: readonly Value[]): Value {
  const { lo, hi } = outputRange(op.out);
  const acc = new Array<number>(op.cols).fill(0);
  const linearInput = { data: x.data as Uint8Array | Int16Array, zero: zeroPoint(x.out), rowScale: x.rowScale };
  return byRow(op, (r, row) => {
    accumulateRow(op, linearInput, r, acc);
    for (let n = 0; n < op.cols; n++) row[n] = requantize(acc[n], op.multiplier[n], op.shift, 0n, lo, hi);
    if (residual !== undefined) {
      for (let n = 0, i = r * op.cols; n < op.cols; n++, i++) row[n] = addWide(row[n], residual.data[i]);
    }
  });
}

function runAttention(op: AttentionOp, [q, k, v]: readonly Value[]): Value {
  const { lo, hi } = outputRange(op.out);
  const weighted = new Int32Array(op.valueDim);
  const codes = { q: q.data as Int8Array, k: k.data as Int8Array, v: v.data as Int8Array };
  return byRow(op, (r, row) => {
    for (let h = 0; h < op.heads; h++) {
      attendRow(op, codes, r, h, weighted);
      for (let j = 0, n = h * op.valueDim; j < op.valueDim; j++, n++) {
        row[n] = requantize(weighted[j], op.multiplier[n], op.shift, 0n, lo, hi);
      }
    }
  });
}

function runMeanRows(op: MeanRowsOp, x: Value): Value {
  const { lo, hi } = outputRange(op.out);
  return byRow(op, (r, row) => {
    for (let n = 0; n < op.cols; n++) {
      let sum = 0;
      for (let g = 0, i = r * op.group * op.cols + n; g < op.group; g++, i += op.cols) sum += x.data[i];
      row[n] = requantize(sum, op.multiplier[n], op.shift, 0n, lo, hi);
    }
  });
}

/** A gather of whole dynamic rows takes their scales along; a filled row has scale 1. */
function runGather(op: GatherOp, sources: readonly Value[]): Value {
  const value = allocate(op);
  gatherPieces(
    sources.map((s) => s.data),
    op.piece,
    op.index,
    op.fill,
    value.data,
  );
  if (value.rowScale !== null) {
    gatherPieces(
      sources.map((s) => s.rowScale as Int32Array),
      1,
      op.index,
      1,
      value.rowScale,
    );
  }
  return value;
}

/** Fills a fresh value row by row; `compute` writes the clamped integers of one row. */
function byRow(op: Op, compute: (r: number, row: Int32Array) => void): Value {
  const value = allocate(op);
  const row = new Int32Array(op.cols);
  const zero = op.out.type === 'u8' ? op.out.zero : 0;
  for (let r = 0; r < op.rows; r++) {
    compute(r, row);
    const at = r * op.cols;
    if (value.rowScale !== null) value.rowScale[r] = quantizeRow(row, value.data as Uint8Array, at);
    else for (let n = 0; n < op.cols; n++) value.data[at + n] = row[n] + zero;
  }
  return value;
}

/** The code that stands for zero. */
function zeroPoint(out: Output): number {
  return out.type === 'rows' ? 128 : out.type === 'u8' ? out.zero : 0;
}

export function createReferenceRunner(): OpRunner {
  return {
    backend: 'reference',
    load: (op, specs, input) => ({
      run(operands) {
        checkOperands(specs, operands);
        return runOp(op, operands, input);
      },
      free: () => undefined,
    }),
    close: () => undefined,
  };
}

/** Runs a program op by op; a value is dropped after its last reader. */
export function createReferenceEngine(program: Program): Engine {
  const lastReader = new Map<number, number>();
  program.ops.forEach((op, i) => operandsOf(op).forEach((id) => lastReader.set(id, i)));
  lastReader.set(program.output, program.ops.length);

  const run = async (pixels: Uint8Array): Promise<Int32Array> => {
    const image = imageValue(program.input, pixels);
    checkOperands([image], [imageData(pixels)]);
    const values: (Value | null)[] = [image];
    program.ops.forEach((op, i) => {
      values[i + 1] = runOp(
        op,
        operandsOf(op).map((id) => values[id] as Value),
        program.input,
      );
      for (const id of operandsOf(op)) if (lastReader.get(id) === i) values[id] = null;
    });
    return (values[program.output] as Value).data as Int32Array;
  };
  return {
    backend: 'reference',
    isa: 'typescript',
    threads: 1,
    run,
    runAll: async (images) => {
      const outputs: Int32Array[] = [];
      for (const image of images) outputs.push(await run(image));
      return outputs;
    },
    close: async () => undefined,
  };
}
