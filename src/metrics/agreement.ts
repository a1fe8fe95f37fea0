/** How near the integer model's logits are to the float model's on the same images. */
export interface Agreement {
  readonly images: number;
  /** Share of images with the same first class. Ties go to the lowest index. */
  readonly top1Agreement: number;
  /** Mean over images of KL(softmax(float) ‖ softmax(integer)), in nats. */
  readonly kl: number;
  /**
   * Signal-to-quantization-noise ratio: 10·log10(Σ float² / Σ (float − integer)²), pooled over all
   * logits, in dB.
   */
  readonly sqnrDb: number;
}

/** What one image adds to an agreement. */
export interface PairFigures {
  /** Whether both have the same first class. */
  readonly same: boolean;
  /** KL(softmax(float) ‖ softmax(integer)) in nats. */
  readonly kl: number;
  /** Σ float². */
  readonly signal: number;
  /** Σ (float − integer)². */
  readonly noise: number;
}

/** @param integer the integer logits times their scale */
export function compareScores(float: ArrayLike<number>, integer: ArrayLike<number>): PairFigures {
  let [signal, noise] = [0, 0];
  for (let c = 0; c < float.length; c++) {
    signal += float[c] * float[c];
    noise += (float[c] - integer[c]) ** 2;
  }
  return { same: argmax(float) === argmax(integer), kl: divergence(float, integer), signal, noise };
}

/** Takes pairs of logits one image at a time, so that memory does not grow with the dataset. */
export class AgreementMeter {
  private images = 0;
  private same = 0;
  private kl = 0;
  private signal = 0;
  private noise = 0;

  /** @param integer the integer logits times their scale */
  add(float: ArrayLike<number>, integer: ArrayLike<number>): void {
    this.addFigures(compareScores(float, integer));
  }

  addFigures({ same, kl, signal, noise }: PairFigures): void {
    this.images++;
    if (same) this.same++;
    this.kl += kl;
    this.signal += signal;
    this.noise += noise;
  }

  result(): Agreement {
    const { images } = this;
    return {
      images,
      top1Agreement: this.same / images,
      kl: this.kl / images,
      sqnrDb: 10 * Math.log10(this.signal / this.noise),
    };
  }
}

export function agreementOf(float: readonly ArrayLike<number>[], integer: readonly ArrayLike<number>[]): Agreement {
  const meter = new AgreementMeter();
  float.forEach((logits, i) => meter.add(logits, integer[i]));
  return meter.result();
}

/** The index of the largest value, the lowest one where several are equal. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/**
 * Integers in real units. A loop: making a Float64Array by a function takes twenty times as long, which counts where
 * there are a million classes.
 */
export function scaled(values: ArrayLike<number>, scale: number): Float64Array {
  const reals = new Float64Array(values.length);
  for (let i = 0; i < reals.length; i++) reals[i] = values[i] * scale;
  return reals;
}

/** softmax(logits·scale), for display. */
export function softmax(logits: ArrayLike<number>, scale: number): Float64Array {
  const p = logSoftmax(scaled(logits, scale));
  for (let i = 0; i < p.length; i++) p[i] = Math.exp(p[i]);
  return p;
}

/** The logarithms of softmax(values). */
export function logSoftmax(values: ArrayLike<number>): Float64Array {
  const max = values[argmax(values)];
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += Math.exp(values[i] - max);
  const shift = max + Math.log(sum);
  const logs = new Float64Array(values.length);
  for (let i = 0; i < logs.length; i++) logs[i] = values[i] - shift;
  return logs;
}

/** KL(softmax(float) ‖ softmax(integer)) in nats. */
export function divergence(float: ArrayLike<number>, integer: ArrayLike<number>): number {
  const p = logSoftmax(float);
  const q = logSoftmax(integer);
  let sum = 0;
  for (let i = 0; i < p.length; i++) sum += Math.exp(p[i]) * (p[i] - q[i]);
  return sum;
}
