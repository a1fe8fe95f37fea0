/** Pictures of where a model looked. */
import { createOpRunner } from '../engine/runner.js';
import { InputError } from '../errors.js';
import { attentionMaps, occlusionMap, tokenLayout } from '../explain/index.js';
import type { ImageMap } from '../explain/index.js';
import { drawSheet } from '../explain/draw.js';
import { loadSharp } from '../images/decode.js';
import { argmax } from '../metrics/agreement.js';
import { writeAtomically } from '../program/file.js';
import type { Model } from './model.js';

/** An image to explain. */
export interface ExplainImage {
  /** What stands above it. */
  readonly title: string;
  /** u8 HWC of the network's own size, as `Model.prepare` gives them. */
  readonly pixels: Uint8Array;
}

/** Most images of one sheet. */
const MOST_EXPLAINED = 64;

/**
 * Where the integer model looked, for each image: attention rollout and the heads of the last block, of its own integer
 * weights; of a model whose attention does not reach over all of the image, how far each part of the image matters to
 * the first class (occlusion).
 *
 * @throws InputError where neither is possible
 */
export async function explain(model: Model, images: readonly ExplainImage[]): Promise<ImageMap[][]> {
  const { program } = model.file;
  const layout = tokenLayout(program);
  if (layout === null) return Promise.all(images.map(async ({ pixels }) => [await occluded(model, pixels)]));
  const runner = await createOpRunner(model.backend);
  try {
    return images.map(({ pixels }) => attentionMaps(program, layout, runner, pixels));
  } finally {
    runner.close();
  }
}

/** Draws what `explain` gives over the images, all on one PNG. */
export async function saveExplanation(file: string, model: Model, images: readonly ExplainImage[]): Promise<void> {
  const { input } = model.file.program;
  const maps = await explain(model, images);
  const explained = images.map((image, i) => ({ ...image, maps: maps[i] }));
  writeAtomically(file, await drawSheet(loadSharp(), explained, input));
}

/** @throws InputError where images of a model cannot be shown or explained, or are too many for a sheet */
export function checkExplainable(model: Model, count: number): void {
  if (count > MOST_EXPLAINED)
    throw new InputError(`--explain draws at most ${MOST_EXPLAINED} images on a sheet, and these are ${count}`);
  const { input } = model.file.program;
  if (input.channels !== 1 && input.channels !== 3)
    throw new InputError(`Images of ${input.channels} channels cannot be shown: leave out --explain`);
  if (tokenLayout(model.file.program) === null && model.classes === 0)
    throw new InputError(
      'The model has no classes, and its attention does not reach over all of the image: leave out --explain',
    );
}

async function occluded(model: Model, pixels: Uint8Array): Promise<ImageMap> {
  const best = argmax(model.logitsOf(await model.run(pixels)));
  return occlusionMap(model.file.program.input, pixels, async (images) => {
    const all = await Promise.all(images.map((image) => model.run(image)));
    return all.map((values) => model.logitsOf(values)[best]);
  });
}
