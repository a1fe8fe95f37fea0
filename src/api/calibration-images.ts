/** The images that a model is calibrated on. */
import path from 'node:path';
import { InputError } from '../errors.js';
import { someOf } from '../names.js';
import { cycledChannels, greyNotice, losesColour } from '../images/channels.js';
import { applyRecipe } from '../images/preprocess/recipe.js';
import type { PreprocessRecipe } from '../images/preprocess/recipe.js';
import { syntheticImage } from '../images/synthetic/index.js';
import { DEFAULT_OPTIONS, EFFORT_SETTINGS } from '../quantize/index.js';
import { SEED, drawImages } from './draw-images.js';
import type { QuantizeRequest } from './requests.js';
import type { SkippedImage } from './summary.js';

export interface CalibrationImages {
  /** Pixels as the network reads them. */
  readonly images: Uint8Array[];
  readonly names: string[];
  readonly skipped: SkippedImage[];
  /** How many files of which ending are not read. */
  readonly unread: Record<string, number>;
}

/** Decodes, or makes up, the images that a request asks for. */
export async function calibrationImages(
  request: Pick<QuantizeRequest, 'images' | 'numImages' | 'effort' | 'stats' | 'onProgress'>,
  recipe: PreprocessRecipe,
  notice: (text: string) => void,
): Promise<CalibrationImages> {
  const { numImages, onProgress } = request;
  const channels = recipe.mean.length;
  const effort = EFFORT_SETTINGS[request.effort ?? DEFAULT_OPTIONS.effort];
  if (request.images === undefined) {
    const total = numImages ?? effort.syntheticImages;
    notice(
      !request.stats?.length
        ? `No --images given: calibrating on ${total} synthetic images. ` +
            'Photographs like those the model will see are better.'
        : `No --images given: ranges come from the statistics, weights are fitted to ${total} synthetic images.`,
    );
    const images: Uint8Array[] = [];
    for (let i = 0; i < total; i++) {
      const image = cycledChannels(syntheticImage(recipe.size.width, recipe.size.height, SEED + i), channels);
      images.push(applyRecipe(image, recipe, channels));
      onProgress?.('images', i + 1, total);
      // Making images takes no pause of its own: let signals and the progress bar through.
      await new Promise(setImmediate);
    }
    return { images, names: images.map((_, i) => `made-up image ${i + 1}`), skipped: [], unread: {} };
  }
  const drawn = await drawImages(request.images, numImages ?? effort.images);
  drawn.notices.forEach(notice);
  const images: Uint8Array[] = [];
  const names: string[] = [];
  const skipped: SkippedImage[] = [];
  let coloured = 0;
  for await (const { path: file, image } of drawn.images) {
    try {
      if (image instanceof InputError) throw image;
      images.push(applyRecipe(image, recipe, channels));
      names.push(path.basename(file));
      if (channels === 1 && losesColour(image)) coloured++;
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      skipped.push({ path: file, reason: error.message });
    }
    onProgress?.('images', images.length + skipped.length, drawn.count);
  }
  if (images.length === 0) throw new InputError(`No usable image in ${request.images}: ${skipped[0].reason}`);
  if (skipped.length > 0)
    notice(`${skipped.length} of ${drawn.count} images skipped: ${someOf(skipped.map((one) => one.path))}`);
  for (const left of [greyNotice(coloured, images.length), drawn.unread?.notice(request.images) ?? null])
    if (left !== null) notice(left);
  return { images, names, skipped, unread: drawn.unread?.byExtension() ?? {} };
}
