/** Small helpers on row-major matrices. */

/** Mean of the diagonal of a matrix [K, K]. */
export function meanDiagonal(gram: Float32Array | Float64Array, K: number): number {
  let trace = 0;
  for (let k = 0; k < K; k++) trace += gram[k * K + k];
  return trace / K;
}

/** A matrix [rows, cols] as [cols, rows], in single precision. */
export function transposed(matrix: ArrayLike<number>, rows: number, cols: number): Float32Array {
  const out = new Float32Array(matrix.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c++) out[c * rows + r] = matrix[r * cols + c];
  return out;
}

/** A·v of a matrix A [rows, cols] and a vector [cols]. */
export function timesVector(matrix: ArrayLike<number>, vector: Float64Array): Float64Array {
  const cols = vector.length;
  return Float64Array.from({ length: matrix.length / cols }, (_, r) => {
    let sum = 0;
    for (let c = 0; c < cols; c++) sum += matrix[r * cols + c] * vector[c];
    return sum;
  });
}

/** a + b, in a's precision: a loop, as `map` makes an object of every number, for the garbage collector. */
export function sumOf<T extends Float32Array | Float64Array>(a: T, b: Float32Array): T {
  const sum = a.slice() as T;
  for (let i = 0; i < sum.length; i++) sum[i] += b[i];
  return sum;
}
