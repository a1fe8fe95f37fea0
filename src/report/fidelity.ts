import { AgreementMeter, argmax, divergence } from '../metrics/agreement.js';
import { wilsonInterval } from '../metrics/interval.js';
import { classifierOf, outputOf, type ModelOutput } from '../metrics/output.js';
import { quantilesOf } from '../metrics/quantiles.js';
import { OutputsMeter } from '../metrics/similarity.js';
import type { Fidelity } from './types.js';

/** Compares the outputs of two models image by image. */
export class FidelityMeter {
  readonly #classifier: ModelOutput | null;
  readonly #agreement = new AgreementMeter();
  readonly #outputs: OutputsMeter;
  /** Of each image, in the order of the images. */
  readonly kl: number[] = [];
  readonly differs: boolean[] = [];

  constructor(outputs: readonly ModelOutput[]) {
    this.#classifier = classifierOf(outputs);
    this.#outputs = new OutputsMeter(outputs);
  }

  /** @param integer all numbers of an image, in real units, as the float ones */
  add(float: Float32Array, integer: Float64Array): void {
    this.#outputs.add(float, integer);
    const [a, b] = this.#classifier === null ? [float, integer] : this.#scores(float, integer);
    this.#agreement.add(a, b);
    if (this.#classifier === null) return;
    this.kl.push(divergence(a, b));
    this.differs.push(argmax(a) !== argmax(b));
  }

  result(): Fidelity {
    const { images, top1Agreement, kl, sqnrDb } = this.#agreement.result();
    const hasClasses = this.#classifier !== null;
    return {
      images,
      top1Agreement: hasClasses ? top1Agreement : null,
      interval: hasClasses ? wilsonInterval(Math.round(top1Agreement * images), images) : null,
      kl: hasClasses ? { ...quantilesOf(this.kl), mean: kl, max: this.kl.reduce((a, b) => Math.max(a, b)) } : null,
      sqnrDb,
      outputs: this.#outputs.result(),
    };
  }

  #scores(float: Float32Array, integer: Float64Array): [Float32Array, Float64Array] {
    return [outputOf(float, this.#classifier!), outputOf(integer, this.#classifier!)];
  }
}
