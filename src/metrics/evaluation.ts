/** The figures of an evaluation, from its rows: the same whether they come from one run or from many. */
import { AccuracyMeter } from './accuracy.js';
import { AgreementMeter } from './agreement.js';
import { AveragePrecisionMeter } from './average-precision.js';
import { CalibrationErrorMeter } from './calibration-error.js';
import { ConfusionMeter } from './confusion.js';
import type { ClassAccuracy, Confused } from './confusion.js';
import type { ImageRow } from './image-row.js';
import { wilsonInterval } from './interval.js';
import type { Interval } from './interval.js';
import { quantilesOf } from './quantiles.js';
import type { Latency, Quantiles } from './quantiles.js';
import type { ModelOutput } from './output.js';
import { OutputsMeter } from './similarity.js';
import type { OutputAgreement } from './similarity.js';

/** What the rows are of. */
export interface EvaluationSubject {
  /** 0 where the model has none. */
  readonly classes: number;
  readonly outputs: readonly ModelOutput[];
  /** Whether the model scores each class by itself (a sigmoid), so that no probability is shared among classes. */
  readonly isSigmoid: boolean;
  readonly hasFloat: boolean;
}

export interface EvaluationFigures {
  readonly images: number;
  /** Null where the model or the dataset has no classes. */
  readonly top1: number | null;
  readonly top5: number | null;
  /** Wilson's interval of top-1 at 95 %. */
  readonly top1Interval: Interval | null;
  /** Expected calibration error (15 bins); null where the model gives no probabilities that add to 1. */
  readonly ece: number | null;
  /** Mean average precision over the classes; null where images have one class each. */
  readonly meanAveragePrecision: number | null;
  /** Each class that has images; none where images have several. */
  readonly classAccuracy: readonly ClassAccuracy[];
  /** The pairs of classes that are confused most, most first. */
  readonly confused: readonly Confused[];
  /** Of inference alone; null without images. */
  readonly latencyMs: Latency | null;
  readonly float?: FloatFigures;
}

export interface FloatFigures {
  /** Null where the model or the dataset has no classes. */
  readonly top1: number | null;
  readonly top5: number | null;
  /** Share of images for which both models decide for the same class; null where the model has no classes. */
  readonly agreement: number | null;
  /** Wilson's interval of that at 95 %. */
  readonly agreementInterval: Interval | null;
  /** Mean over images, of the classes' scores; null where the model has no classes. */
  readonly kl: number | null;
  /** Nearest-rank quantiles over images of the same. */
  readonly klQuantiles: Quantiles | null;
  /** Of the classes' scores, or of all outputs together. */
  readonly sqnrDb: number;
  /** Output by output. */
  readonly outputs: readonly OutputAgreement[];
}

/** How many pairs of confused classes are told. */
const CONFUSED = 10;

/** Takes rows in the order of the images: sums in floating point depend on it. */
export class EvaluationMeter {
  readonly confusion: ConfusionMeter;
  private readonly accuracy = new AccuracyMeter();
  private readonly calibration = new CalibrationErrorMeter();
  private readonly precision = new AveragePrecisionMeter();
  private readonly float: FloatMeter | null;
  private readonly times: number[] = [];

  constructor(private readonly subject: EvaluationSubject) {
    this.confusion = new ConfusionMeter(subject.classes);
    this.float = subject.hasFloat ? new FloatMeter(subject) : null;
  }

  add(row: ImageRow): void {
    const { label, rank, prediction, probability, scores } = row;
    this.times.push(row.ms);
    if (rank !== null) {
      this.accuracy.addRank(rank);
      this.calibration.add(probability!, rank === 0);
    }
    if (typeof label === 'number' && prediction !== null) this.confusion.add(label, prediction);
    if (scores !== undefined && label !== null) this.precision.add(scores, typeof label === 'number' ? [label] : label);
    this.float?.add(row);
  }

  result(): EvaluationFigures {
    const { accuracy, confusion, float, times } = this;
    return {
      images: times.length,
      ...topOf(accuracy),
      top1Interval: intervalOf(accuracy),
      ece: this.subject.isSigmoid ? null : this.calibration.result(),
      meanAveragePrecision: this.precision.result(),
      classAccuracy: confusion.byClass(),
      confused: confusion.confused(CONFUSED),
      latencyMs: times.length === 0 ? null : quantilesOf(times),
      ...(float !== null && { float: float.result() }),
    };
  }
}

/** The float model beside the integer one. */
class FloatMeter {
  private readonly accuracy = new AccuracyMeter();
  private readonly agreement = new AgreementMeter();
  private readonly outputs: OutputsMeter;
  private readonly divergences: number[] = [];

  constructor(private readonly subject: EvaluationSubject) {
    this.outputs = new OutputsMeter(subject.outputs);
  }

  add({ float }: ImageRow): void {
    if (float === undefined) throw new RangeError('a row has no float side');
    if (float.rank !== null) this.accuracy.addRank(float.rank);
    this.agreement.addFigures(float.scores);
    this.outputs.addFigures(float.outputs);
    this.divergences.push(float.scores.kl);
  }

  result(): FloatFigures {
    const { images, top1Agreement, kl, sqnrDb } = this.agreement.result();
    const hasClasses = this.subject.classes > 0 && images > 0;
    return {
      ...topOf(this.accuracy),
      agreement: hasClasses ? top1Agreement : null,
      agreementInterval: hasClasses ? wilsonInterval(Math.round(top1Agreement * images), images) : null,
      kl: hasClasses ? kl : null,
      klQuantiles: hasClasses ? quantilesOf(this.divergences) : null,
      sqnrDb,
      outputs: this.outputs.result(),
    };
  }
}

function topOf(accuracy: AccuracyMeter): { top1: number | null; top5: number | null } {
  const { images, top1, top5 } = accuracy.result();
  return images === 0 ? { top1: null, top5: null } : { top1, top5 };
}

function intervalOf(accuracy: AccuracyMeter): Interval | null {
  const { images, top1 } = accuracy.result();
  return images === 0 ? null : wilsonInterval(Math.round(top1 * images), images);
}
