/**
 * What a linear layer's output loses because its inputs are not the float model's, as the correction of its weights
 * needs it.
 */
import { centreRows } from '../../calibrate/numerics.js';
import type { Products } from '../../calibrate/products.js';
import { timesVector, transposed } from './linalg.js';

/** What the float model has on the rows that a layer is fitted to. */
export type Wanted =
  | {
      /** [rows, K]: the layer's input, in units of its integers; its float weights make the wanted output of it. */
      readonly inputs: Float32Array;
    }
  | {
      /** [rows, N]: the wanted output. */
      readonly outputs: Float32Array;
    };

/** A stretch of rows. */
export interface Rows {
  readonly from: number;
  readonly to: number;
}

/** Errors E [rows, N] of centred outputs with the float weights, as products. */
export interface OutputErrors {
  /** [N]: the wanted output's mean, less the bias. */
  readonly mean: Float64Array;
  /** [N, K]: Eᵀ·X on some rows of the centred inputs X. */
  cross(rows: Rows): Promise<Float32Array>;
  /** Squared sums of E, and of the wanted output, on some rows. */
  energies(rows: Rows): Promise<{ readonly error: number; readonly wanted: number }>;
}

/** The inputs that a layer gets, and how they count. */
export interface CentredInputs {
  /** [rows, K]: centred. */
  readonly x: Float32Array;
  /** [rows]. */
  readonly rowWeight: Float32Array;
  /** [N, K]: float weights for x. */
  readonly weight: Float64Array;
}

/** @param wanted is centred in place */
export async function outputErrors(
  inputs: CentredInputs,
  wanted: Wanted,
  bias: Float64Array,
  products: Products,
): Promise<OutputErrors> {
  return 'inputs' in wanted
    ? errorsOfInputs(inputs, wanted.inputs, bias.length, products)
    : errorsOfOutputs(inputs, wanted.outputs, bias, products);
}

/**
 * E = D·Wᵀ of the input's error D = U − X, where U is the float input: so Eᵀ·X = W·(Dᵀ·X), and N columns are never
 * worked out for each row.
 */
function errorsOfInputs(
  { x, rowWeight, weight }: CentredInputs,
  exact: Float32Array,
  N: number,
  products: Products,
): OutputErrors {
  const K = weight.length / N;
  const mean = timesVector(weight, centreRows(exact, K, rowWeight));
  const error = subtractFrom(exact, x.slice());
  const weight32 = new Float32Array(weight);
  /** Of A·Wᵀ, A [rows, K]. */
  const energy = async (rows: Float32Array): Promise<number> => {
    const product = await products.plain(weight32, K, await products.transposed(rows, K, rows, K), K);
    return dot(product, weight32);
  };
  return {
    mean,
    cross: async ({ from, to }) => {
      const inputs = await products.transposed(error.subarray(from * K, to * K), K, x.subarray(from * K, to * K), K);
      return products.plain(weight32, K, inputs, K);
    },
    energies: async ({ from, to }) => ({
      error: await energy(error.subarray(from * K, to * K)),
      wanted: await energy(exact.subarray(from * K, to * K)),
    }),
  };
}

async function errorsOfOutputs(
  { x, rowWeight, weight }: CentredInputs,
  outputs: Float32Array,
  bias: Float64Array,
  products: Products,
): Promise<OutputErrors> {
  const N = bias.length;
  const K = weight.length / N;
  const mean = centreRows(outputs, N, rowWeight).map((m, n) => m - bias[n]);
  let made: Promise<Float32Array> | undefined;
  const errors = (): Promise<Float32Array> =>
    (made ??= products.plain(x, K, transposed(weight, N, K), N).then((seen) => subtractFrom(outputs, seen)));
  return {
    mean,
    cross: async ({ from, to }) =>
      products.transposed((await errors()).subarray(from * N, to * N), N, x.subarray(from * K, to * K), K),
    energies: async ({ from, to }) => ({
      error: sumOfSquares((await errors()).subarray(from * N, to * N)),
      wanted: sumOfSquares(outputs.subarray(from * N, to * N)),
    }),
  };
}

const sumOfSquares = (values: Float32Array): number => dot(values, values);

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** a − b, in b's place. */
function subtractFrom(a: Float32Array, b: Float32Array): Float32Array {
  for (let i = 0; i < b.length; i++) b[i] = a[i] - b[i];
  return b;
}
