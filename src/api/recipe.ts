/** Which recipe a model gets: what is said about it, and, where nothing is, what its float model is surest with. */
import { returnFreeMemory } from '../engine/free-memory.js';
import { InputError } from '../errors.js';
import { classCount } from '../graph/output.js';
import { MAX_CHANNELS } from '../images/image.js';
import type { PixelImage } from '../images/image.js';
import type { RecipeFlags } from '../images/preprocess/flags.js';
import type { PreprocessRecipe } from '../images/preprocess/recipe.js';
import { assumption, resolveRecipe } from '../images/preprocess/resolve.js';
import { importModel } from '../importer/index.js';
import type { ImportedModel } from '../importer/index.js';
import { digestOf } from '../quantize/index.js';
import { drawImages } from './draw-images.js';
import type { QuantizeRequest } from './requests.js';
import { probeRecipe } from './probe-recipe.js';
import type { RecipeProbe } from './probe-recipe.js';

export interface ImportedWithRecipe {
  readonly imported: ImportedModel;
  readonly recipe: PreprocessRecipe;
  /** The parts of the recipe for which ImageNet's defaults stand. */
  readonly assumed: readonly string[];
}

/** Of a model that takes integers: its graph is imported as one of pixels of 0 to 1. */
const NO_NORMALIZATION = { mean: [0], std: [1] } as const;

/**
 * Imports a model at the size its recipe settles on; where the model leaves the size open, the two depend on each
 * other.
 */
export async function importWithRecipe(
  model: string,
  flags: RecipeFlags,
  notice: (text: string) => void,
  outputs?: readonly string[],
): Promise<ImportedWithRecipe> {
  const asked = flags.size && ([flags.size.height, flags.size.width] as const);
  let imported = await importModel(model, { size: asked, outputs });
  const { input } = imported.graph;
  if (input.channels > MAX_CHANNELS)
    throw new InputError(`${model} takes images of ${input.channels} channels; at most ${MAX_CHANNELS} are supported`);
  if (input.isInteger && (flags.mean ?? flags.std ?? flags.preset) !== undefined) {
    throw new InputError(
      `${model} takes pixels as integers and normalizes them itself: leave out --mean, --std and --preset`,
    );
  }
  const resolve = async (fixed: { height: boolean; width: boolean }) => {
    const modelInput = { channels: input.channels, height: input.height, width: input.width, fixed };
    const surroundings = { modelPath: model, modelInput, metadata: imported.metadata };
    if (!input.isInteger) return resolveRecipe({ ...surroundings, flags });
    // Files beside such a model may speak of rescaling that the model does itself.
    const resolved = await resolveRecipe({ ...surroundings, flags: { ...flags, ...NO_NORMALIZATION } });
    return { ...resolved, recipe: { ...resolved.recipe, scale: 1 / 255 } };
  };
  let resolved = await resolve(input.fixed);
  const { size } = resolved.recipe;
  if (size.height !== input.height || size.width !== input.width) {
    try {
      imported = await importModel(model, { size: [size.height, size.width], outputs });
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      // The model does not fit the size that its surroundings suggest: keep the one that its own shapes do.
      resolved = await resolve({ height: true, width: true });
    }
  }
  [...imported.notices, ...resolved.notices].forEach(notice);
  return { imported, ...resolved };
}

/** How many images the usual recipes are tried on: enough to tell them apart, and seconds at most. */
const PROBE_IMAGES = 32;
/** Of a large model, whose runs are slow. */
const PROBE_IMAGES_LARGE = 12;
const LARGE = 50e6;
/** ONNX Runtime takes no model of more than 2 GiB as bytes. */
const MOST_PARAMETERS = 500e6;

interface RecipeRequest {
  readonly images?: string;
  readonly preprocess?: RecipeFlags;
  readonly outputs?: readonly string[];
  readonly threads: number;
  /** Recipes that were found before, by what they depend on beside the float model; one that is found is added. */
  readonly recipes?: KnownRecipes;
  readonly onProgress?: QuantizeRequest['onProgress'];
}

type ProbedRecipe = Awaited<ReturnType<typeof probeRecipe>>;

export interface KnownRecipes {
  recipe(digest: string): ProbedRecipe | undefined;
  keepRecipe(digest: string, recipe: ProbedRecipe): void;
}

/**
 * Imports a model and settles its recipe. Where nothing says the normalization, the usual ones are tried on calibration
 * images with the float model; where that is not possible, a notice says why the default was assumed.
 */
export async function importAndChooseRecipe(
  model: string,
  request: RecipeRequest,
  notice: (text: string) => void,
): Promise<{ imported: ImportedModel; recipe: PreprocessRecipe; probe: RecipeProbe | null }> {
  const { onProgress } = request;
  const held: string[] = [];
  onProgress?.('import', 0, 1);
  const { imported, recipe, assumed } = await importWithRecipe(
    model,
    request.preprocess ?? {},
    (text) => held.push(text),
    request.outputs,
  );
  onProgress?.('import', 1, 1);
  const isOpen = assumed.includes('mean') && assumed.includes('std');
  const assumptionNotice = assumed.length > 0 ? assumption(recipe, assumed) : undefined;
  held.filter((text) => !isOpen || text !== assumptionNotice).forEach(notice);
  if (!isOpen) return { imported, recipe, probe: null };
  const reason = whyNot(imported, request.images);
  const images = reason === null ? await probeImages(request.images!, imported.parameters) : [];
  if (images.length < 2) {
    notice(assumptionNotice!);
    notice(
      `WARNING: the normalization is a guess, as ${reason ?? 'too few images can be decoded'}. ` +
        'A wrong one costs much accuracy, and nothing else will tell. Give --preset, or --mean and --std.',
    );
    return { imported, recipe, probe: null };
  }
  const tryResize = assumed.includes('resize');
  const pixels = images.flatMap(({ width, height, data }) => [width, height, data]);
  const digest = digestOf([JSON.stringify([recipe, tryResize, request.outputs]), ...pixels]);
  const known = request.recipes?.recipe(digest);
  const probed =
    known ??
    (await probeRecipe({
      ...{ graph: imported.graph, images, recipe, tryResize, threads: request.threads },
      onProgress: (done, total) => onProgress?.('recipe', done, total),
    }));
  request.recipes?.keepRecipe(digest, probed);
  returnFreeMemory();
  probed.notices.forEach(notice);
  return { imported, recipe: probed.recipe, probe: probed.probe };
}

/** Why the usual recipes cannot be tried; null where they can. */
function whyNot({ graph, parameters }: ImportedModel, images: string | undefined): string | null {
  if (images === undefined) return 'there are no --images to try the usual ones on';
  if (graph.input.channels !== 3 && graph.input.channels !== 1) return 'the usual ones are of RGB';
  if (classCount(graph) < 2) return 'only a classifier tells which one it was trained with';
  return parameters > MOST_PARAMETERS ? 'the model is too large to try the usual ones' : null;
}

async function probeImages(source: string, parameters: number): Promise<PixelImage[]> {
  const count = parameters > LARGE ? PROBE_IMAGES_LARGE : PROBE_IMAGES;
  const images: PixelImage[] = [];
  const drawn = await drawImages(source, count);
  // Calibration tells of what cannot be decoded.
  for await (const { image } of drawn.images) if (!(image instanceof InputError)) images.push(image);
  return images;
}
