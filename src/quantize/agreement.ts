/** How near the integer model's logits are to the float model's on the same images. */
export interface Agreement {
  readonly images: number;
  /** Share of images with the same first class; ties go to the lowest index. */
  readonly top1Agreement: number;
  /** Mean over images of KL(softmax(float) ‖ softmax(integer)). */
  readonly kl: number;
  /** 10·log10(Σ float² / Σ (float − integer)²), pooled over all logits. */
  readonly sqnrDb: number;
}

export function agreementOf(float: readonly ArrayLike<number>[], integer: readonly ArrayLike<number>[]): Agreement {
  let same = 0;
  let kl = 0;
  let signal = 0;
  let noise = 0;
  float.forEach((f, i) => {
    const g = integer[i];
    if (argmax(f) === argmax(g)) same++;
    kl += divergence(f, g);
    for (let c = 0; c < f.length; c++) {
      signal += f[c] * f[c];
      noise += (f[c] - g[c]) ** 2;
    }
  });
  const n = float.length;
  return { images: n, top1Agreement: same / n, kl: kl / n, sqnrDb: 10 * Math.log10(signal / noise) };
}

/** The index of the largest value, the lowest one where several are equal. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

function logSoftmax(values: ArrayLike<number>): Float64Array {
  const max = values[argmax(values)];
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += Math.exp(values[i] - max);
  const shift = max + Math.log(sum);
  return Float64Array.from(values, (v) => v - shift);
}

function divergence(float: ArrayLike<number>, integer: ArrayLike<number>): number {
  const p = logSoftmax(float);
  const q = logSoftmax(integer);
  let sum = 0;
  for (let i = 0; i < p.length; i++) sum += Math.exp(p[i]) * (p[i] - q[i]);
  return sum;
}
