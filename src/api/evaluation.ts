/** What an evaluation comes to: from the rows of one run, or of many. */
import type { ExifMode } from '../images/decode.js';
import { greyNotice } from '../images/channels.js';
import { isNearChance } from '../metrics/chance.js';
import type { ConfusionMeter } from '../metrics/confusion.js';
import { EvaluationMeter } from '../metrics/evaluation.js';
import type { EvaluationFigures, FloatFigures } from '../metrics/evaluation.js';
import { classifierOf } from '../metrics/output.js';
import type { PartHeader, Row } from './part-file.js';
import type { SkippedImage } from './summary.js';

export interface Evaluation extends Omit<EvaluationFigures, 'float'> {
  /** How many of them have an EXIF orientation other than upright, and what was done with these. */
  readonly turned: { readonly images: number; readonly exif: ExifMode };
  /**
   * Decoding, resizing and inference together, by the clock on the wall; the float model's time is left out. Of parts
   * that were merged, for one of the machines. Null where no image was timed.
   */
  readonly imagesPerSecond: number | null;
  readonly skipped: readonly SkippedImage[];
  /** Images of class folders that are of a kind that is not decoded: extension → how many. */
  readonly unread: Readonly<Record<string, number>>;
  readonly float?: FloatComparison;
}

export interface FloatComparison extends FloatFigures {
  /** What ran the float model. */
  readonly runtime: string;
}

/** Takes the rows of an evaluation, in the order of the images. */
export class Evaluator {
  private readonly meter: EvaluationMeter;
  private readonly skipped: SkippedImage[] = [];
  private turned = 0;
  private coloured = 0;
  private several = 0;

  constructor(private readonly header: PartHeader) {
    const { classes, outputs, float } = header;
    const isSigmoid = classifierOf(outputs)?.tail[0]?.op === 'sigmoid';
    this.meter = new EvaluationMeter({ classes, outputs, isSigmoid, hasFloat: float !== null });
  }

  get confusion(): ConfusionMeter {
    return this.meter.confusion;
  }

  add(row: Row): void {
    if ('skipped' in row) {
      this.skipped.push({ path: row.path, reason: row.skipped });
      return;
    }
    this.meter.add(row);
    if (row.turned) this.turned++;
    if (row.coloured) this.coloured++;
    if (Array.isArray(row.label) && row.label.length !== 1) this.several++;
  }

  /**
   * @param runtime what ran the float model
   * @param timing how many images were timed, and for how long together
   */
  result(runtime: string, timing: { readonly timed: number; readonly seconds: number }): Evaluation {
    const { settings, dataset } = this.header;
    const { float, ...figures } = this.meter.result();
    return {
      ...figures,
      turned: { images: this.turned, exif: settings.exif },
      imagesPerSecond: timing.timed === 0 ? null : timing.timed / timing.seconds,
      skipped: this.skipped,
      unread: dataset.unread,
      ...(float !== undefined && { float: { ...float, runtime } }),
    };
  }

  /** What the user should know of a result. */
  notices(evaluation: Evaluation): string[] {
    const { turned, images, skipped } = evaluation;
    const all = [
      turned.images > 0 ? turnedNotice(turned.images, images, turned.exif) : null,
      greyNotice(this.coloured, images),
      severalNotice(this.several, evaluation),
      chanceNotice(evaluation, this.header.classes),
    ];
    return images + skipped.length === 0 ? [] : all.filter((notice) => notice !== null);
  }
}

function severalNotice(several: number, { images, meanAveragePrecision }: Evaluation): string | null {
  if (several === 0) return null;
  const measure = meanAveragePrecision === null ? '' : '; mAP is that of all their classes';
  return (
    `${several} of ${images} images have no class or several: the first decision is right where it is one of an ` +
    `image's classes, and images without any do not count for it${measure}.`
  );
}

/** A warning where the accuracy is one of guessing; null where it is not. */
function chanceNotice({ images, top1, float }: Evaluation, classes: number): string | null {
  if (top1 === null || !isNearChance(top1, images, classes)) return null;
  const other = float?.top1 ?? null;
  const remedy =
    other === null
      ? 'Compare with the float model (--float), check'
      : isNearChance(other, images, classes)
        ? 'So is that of the float model: check'
        : 'That of the float model is not: quantize again with photographs as --images. Else check';
  return (
    `WARNING: the accuracy is about that of guessing among ${classes} classes. ${remedy} that the classes of the ` +
    "dataset are the model's, in its order, and that its pre-processing (`ivit inspect`) is right."
  );
}

function turnedNotice(turned: number, images: number, exif: ExifMode): string {
  const subject = `${turned} of ${images} images lie on their side, as their EXIF orientation says`;
  return exif === 'apply'
    ? `${subject}: they were turned upright.`
    : `${subject}, and were NOT turned, as Python's datasets do not. --exif apply turns them, as ivit infer does.`;
}
