/** The confusion matrix in a file: a table, or a picture. */
import type Sharp from 'sharp';
import { InputError, UsageError } from '../errors.js';
import { labelText } from '../images/label-text.js';
import type { ConfusionMeter } from '../metrics/confusion.js';
import { packageRequire } from '../package-root.js';
import { writeAtomically } from '../program/file.js';
import { csvLine } from '../csv.js';

/** A matrix of more has hundreds of millions of cells. */
const MAX_CLASSES = 10_000;
/** About how many pixels a picture has on each side. */
const EDGE = 1000;

/** @throws UsageError for a name of neither kind */
export function checkConfusionName(file: string): void {
  if (!/\.(csv|png)$/i.test(file))
    throw new UsageError(`A confusion matrix is written as .csv or .png: ${file} ends in neither`);
}

/** @throws InputError for a model of too many classes */
export function checkConfusionSize(classes: number): void {
  if (classes > MAX_CLASSES)
    throw new InputError(
      `A confusion matrix of ${classes} classes is too large: leave --confusion out (--classes tells the pairs that ` +
        'are confused most)',
    );
}

/**
 * A row for each class that the dataset says, a column for each decision. The picture shows the share of each row by
 * its square root, so that few images can be seen: white 0, dark 1.
 *
 * @throws InputError where the file cannot be written
 */
export async function writeConfusion(
  file: string,
  confusion: ConfusionMeter,
  classes: number,
  labels: readonly string[] | null,
): Promise<void> {
  const bytes = /\.csv$/i.test(file)
    ? new TextEncoder().encode(csvOf(confusion, classes, labels))
    : await pictureOf(confusion, classes);
  writeAtomically(file, bytes);
}

function csvOf(confusion: ConfusionMeter, classes: number, labels: readonly string[] | null): string {
  const names = Array.from({ length: classes }, (_, i) => (labels ? labelText(labels[i]) : String(i)));
  const rows = names.map((name, i) => csvLine([name, ...confusion.row(i)]));
  return [csvLine(['class', ...names]), ...rows, ''].join('\n');
}

async function pictureOf(confusion: ConfusionMeter, classes: number): Promise<Uint8Array> {
  const cell = Math.max(1, Math.floor(EDGE / classes));
  const edge = classes * cell;
  const grey = new Uint8Array(edge * edge);
  for (let i = 0; i < classes; i++) {
    const row = confusion.row(i);
    const images = row.reduce((sum, one) => sum + one, 0);
    const shades = row.map((one) => 255 - Math.round(255 * Math.sqrt(one / Math.max(1, images))));
    for (let y = i * cell; y < (i + 1) * cell; y++)
      for (let x = 0; x < edge; x++) grey[y * edge + x] = shades[Math.floor(x / cell)]!;
  }
  const sharp = packageRequire()('sharp') as typeof Sharp;
  return sharp(grey, { raw: { width: edge, height: edge, channels: 1 } })
    .png()
    .toBuffer();
}
