/** What is compared of a model on images: its decisions with the truth, and its outputs with the float model's. */
import { AccuracyMeter } from './accuracy.js';
import { AgreementMeter, compareScores } from './agreement.js';
import { rankOfLabel, type RowLabel } from './image-row.js';
import { wilsonInterval, type Interval } from './interval.js';
import { classifierOf, outputOf, type ModelOutput } from './output.js';
import { quantilesOf } from './quantiles.js';

/** A share of images, and its 95 % confidence interval (Wilson). */
export interface Share {
  readonly share: number;
  readonly interval: Interval;
}

export interface ComparisonFigures {
  readonly images: number;
  /** Null where the model or the dataset has no classes. */
  readonly top1: Share | null;
  readonly top5: Share | null;
  /** Images decided as the float model does; null where there are no classes, and of that model itself. */
  readonly agreement: Share | null;
  /** KL(softmax(float) ‖ softmax(this)) over images, in nats; null as above. */
  readonly kl: { readonly mean: number; readonly p90: number; readonly p99: number } | null;
  /** Of the classes' scores, or of all outputs together, in dB; null of the float model itself. */
  readonly sqnrDb: number | null;
}

/** Takes one image at a time. */
export class ComparisonMeter {
  private readonly accuracy = new AccuracyMeter();
  private readonly agreement = new AgreementMeter();
  private readonly divergences: number[] = [];
  private readonly classifier: ModelOutput | null;
  private images = 0;

  constructor(outputs: readonly ModelOutput[]) {
    this.classifier = classifierOf(outputs);
  }

  /**
   * @param values all numbers that the model gives, in real units
   * @param float those of the float model; null: it is this model
   */
  add(values: Float64Array, float: Float32Array | null, label: RowLabel): void {
    const { classifier } = this;
    this.images++;
    const scores = classifier === null ? values : outputOf(values, classifier);
    const rank = classifier === null ? null : rankOfLabel(scores, label);
    if (rank !== null) this.accuracy.addRank(rank);
    if (float === null) return;
    const figures = compareScores(classifier === null ? float : outputOf(float, classifier), scores);
    this.agreement.addFigures(figures);
    this.divergences.push(figures.kl);
  }

  result(): ComparisonFigures {
    const { images, divergences } = this;
    const { images: labelled, top1, top5 } = this.accuracy.result();
    const { top1Agreement, kl, sqnrDb } = this.agreement.result();
    const hasFloat = divergences.length > 0;
    const hasClasses = hasFloat && this.classifier !== null;
    return {
      images,
      top1: labelled === 0 ? null : shareOf(top1, labelled),
      top5: labelled === 0 ? null : shareOf(top5, labelled),
      agreement: hasClasses ? shareOf(top1Agreement, images) : null,
      kl: hasClasses ? { mean: kl, p90: quantilesOf(divergences).p90, p99: quantilesOf(divergences).p99 } : null,
      sqnrDb: hasFloat ? sqnrDb : null,
    };
  }
}

function shareOf(share: number, images: number): Share {
  return { share, interval: wilsonInterval(Math.round(share * images), images) };
}
