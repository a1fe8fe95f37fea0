/** How near an integer model's outputs are to the float model's, output by output. */
import { AgreementMeter, compareScores } from './agreement.js';
import type { PairFigures } from './agreement.js';
import { outputOf, type ModelOutput } from './output.js';

export interface OutputAgreement {
  readonly name: string;
  readonly shape: readonly number[];
  readonly images: number;
  /** 10·log10(Σ float² / Σ (float − integer)²), pooled over all images, in dB. */
  readonly sqnrDb: number;
  /** Mean over images of the cosine of the angle between the two. */
  readonly cosine: number;
  /** Of a class vector the share of images with the same first class; else null. */
  readonly top1Agreement: number | null;
  /** Of a class vector the mean of KL(softmax(float) ‖ softmax(integer)), in nats; else null. */
  readonly kl: number | null;
}

/** What one image adds to the figures of an output. */
export interface OutputFigures extends PairFigures {
  readonly cosine: number;
}

/**
 * @param float all numbers of an image
 * @param integer the same of the integer model, in real units
 * @param known where its numbers were compared already
 */
export function compareOutput(
  float: Float32Array,
  integer: Float64Array,
  output: ModelOutput,
  known?: PairFigures,
): OutputFigures {
  const [a, b] = [outputOf(float, output), outputOf(integer, output)];
  return { ...(known ?? compareScores(a, b)), cosine: cosine(a, b) };
}

/** Takes the outputs of one image at a time. */
export class OutputsMeter {
  readonly #meters: readonly { output: ModelOutput; agreement: AgreementMeter; cosines: number[] }[];

  constructor(outputs: readonly ModelOutput[]) {
    this.#meters = outputs.map((output) => ({ output, agreement: new AgreementMeter(), cosines: [] }));
  }

  /** @param integer all numbers of an image, in real units, as the float ones */
  add(float: Float32Array, integer: Float64Array): void {
    this.addFigures(this.#meters.map(({ output }) => compareOutput(float, integer, output)));
  }

  /** @param figures of each output, in the outputs' order */
  addFigures(figures: readonly OutputFigures[]): void {
    this.#meters.forEach(({ agreement, cosines }, i) => {
      agreement.addFigures(figures[i]);
      cosines.push(figures[i].cosine);
    });
  }

  result(): OutputAgreement[] {
    return this.#meters.map(({ output, agreement, cosines }) => {
      const { name, shape, isClasses } = output;
      const { images, sqnrDb, top1Agreement, kl } = agreement.result();
      return {
        name,
        shape,
        images,
        sqnrDb,
        cosine: cosines.reduce((sum, one) => sum + one, 0) / images,
        top1Agreement: isClasses ? top1Agreement : null,
        kl: isClasses ? kl : null,
      };
    });
  }
}

/** Two vectors of zeros are alike. */
function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [aa, bb, ab] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    aa += a[i] * a[i];
    bb += b[i] * b[i];
    ab += a[i] * b[i];
  }
  return aa === bb && aa === 0 ? 1 : ab / (Math.sqrt(aa * bb) || 1);
}
