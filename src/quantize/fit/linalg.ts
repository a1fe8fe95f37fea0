/**
 * Dense linear algebra in double precision on row-major Float64Arrays: just what ridge regression and LDLQ
 * weight rounding need.
 */

/** Σ a[ai + i]·b[bi + i] over n elements: four running sums, so that one addition need not wait for the other. */
export function dot(a: Float64Array, ai: number, b: Float64Array, bi: number, n: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = 0;
  for (; i + 3 < n; i += 4) {
    s0 += a[ai + i] * b[bi + i];
    s1 += a[ai + i + 1] * b[bi + i + 1];
    s2 += a[ai + i + 2] * b[bi + i + 2];
    s3 += a[ai + i + 3] * b[bi + i + 3];
  }
  for (; i < n; i++) s0 += a[ai + i] * b[bi + i];
  return s0 + s1 + (s2 + s3);
}

/**
 * Cholesky factor L (lower, A = L·Lᵀ) of a symmetric positive definite [n, n] matrix, in place of its lower triangle;
 * the upper one is zeroed.
 *
 * @returns false where A is not positive definite to working precision
 */
export function cholesky(a: Float64Array, n: number): boolean {
  for (let j = 0; j < n; j++) {
    const rowJ = j * n;
    const d = a[rowJ + j] - dot(a, rowJ, a, rowJ, j);
    if (!(d > 0)) return false;
    const root = Math.sqrt(d);
    a[rowJ + j] = root;
    for (let i = j + 1; i < n; i++) {
      const rowI = i * n;
      a[rowI + j] = (a[rowI + j] - dot(a, rowI, a, rowJ, j)) / root;
    }
    a.fill(0, rowJ + j + 1, rowJ + n);
  }
  return true;
}

/** L⁻¹ of a lower triangular [n, n] matrix, in place. */
export function invertLower(a: Float64Array, n: number): void {
  const row = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    // Row i of the inverse: (e_i − Σ_{j<i} L[i,j]·row j of the inverse) / L[i,i].
    row.fill(0, 0, i);
    for (let j = 0; j < i; j++) {
      const factor = a[i * n + j];
      if (factor === 0) continue;
      const from = j * n;
      for (let k = 0; k <= j; k++) row[k] += factor * a[from + k];
    }
    const scale = 1 / a[i * n + i];
    for (let k = 0; k < i; k++) a[i * n + k] = -scale * row[k];
    a[i * n + i] = scale;
  }
}

/** Mean of the diagonal of a matrix [K, K]. */
export function meanDiagonal(gram: Float64Array, K: number): number {
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
