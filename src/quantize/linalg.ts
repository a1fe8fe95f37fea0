/**
 * Dense linear algebra in double precision on row-major Float64Arrays: just what ridge regression and second-order
 * weight rounding need.
 */

/**
 * Cholesky factor L (lower, A = L·Lᵀ) of a symmetric positive definite [n, n] matrix, in place of its lower triangle;
 * the upper one is zeroed.
 *
 * @returns false where A is not positive definite to working precision
 */
export function cholesky(a: Float64Array, n: number): boolean {
  for (let j = 0; j < n; j++) {
    const rowJ = j * n;
    let d = a[rowJ + j];
    for (let k = 0; k < j; k++) d -= a[rowJ + k] * a[rowJ + k];
    if (!(d > 0)) return false;
    const root = Math.sqrt(d);
    a[rowJ + j] = root;
    for (let i = j + 1; i < n; i++) {
      const rowI = i * n;
      let s = a[rowI + j];
      for (let k = 0; k < j; k++) s -= a[rowI + k] * a[rowJ + k];
      a[rowI + j] = s / root;
    }
    a.fill(0, rowJ + j + 1, rowJ + n);
  }
  return true;
}

/** Solves A·x = b for every row of b [m, n], in place, given A's Cholesky factor. */
export function solveRows(factor: Float64Array, n: number, b: Float64Array, m: number): void {
  for (let r = 0; r < m; r++) {
    const x = b.subarray(r * n, r * n + n);
    for (let i = 0; i < n; i++) {
      let s = x[i];
      const row = i * n;
      for (let k = 0; k < i; k++) s -= factor[row + k] * x[k];
      x[i] = s / factor[row + i];
    }
    // Backward substitution by columns of Lᵀ, which are rows of L: memory is walked in order.
    for (let i = n - 1; i >= 0; i--) {
      const row = i * n;
      const v = x[i] / factor[row + i];
      x[i] = v;
      for (let k = 0; k < i; k++) x[k] -= factor[row + k] * v;
    }
  }
}

/** The inverse of a symmetric positive definite matrix from its Cholesky factor. */
export function inverseFromFactor(factor: Float64Array, n: number): Float64Array {
  const inverse = new Float64Array(n * n);
  for (let i = 0; i < n; i++) inverse[i * n + i] = 1;
  solveRows(factor, n, inverse, n);
  return inverse;
}
