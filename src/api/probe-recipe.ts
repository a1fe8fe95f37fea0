/**
 * Finds out by trial how a model wants its images, where nothing says it: a classifier is surest of what it was trained
 * on.
 */
import { normalizePixels } from '../calibrate/collect.js';
import { openFloatPool } from '../calibrate/runtime.js';
import type { FloatModelPool } from '../calibrate/runtime.js';
import { classCount } from '../graph/output.js';
import type { Graph } from '../graph/types.js';
import { graphToOnnx } from '../graph/write.js';
import type { PixelImage } from '../images/image.js';
import { PRESETS, PRESET_NAMES, averaged } from '../images/preprocess/presets.js';
import type { PresetName } from '../images/preprocess/presets.js';
import { applyRecipe } from '../images/preprocess/recipe.js';
import type { PreprocessRecipe } from '../images/preprocess/recipe.js';
import { decisiveness, isIndecisive } from '../metrics/information.js';
import type { Decisiveness } from '../metrics/information.js';
import { classifierOf, outputOf } from '../metrics/output.js';

/** How one recipe did on the images that were tried. */
export interface RecipeTrial extends Decisiveness {
  readonly preset: PresetName;
  /** Which order of channels the model was given. */
  readonly channels: 'RGB' | 'BGR';
  readonly resize: 'crop' | 'squash';
}

export interface RecipeProbe {
  readonly chosen: PresetName;
  /** How many images were tried. */
  readonly images: number;
  /** False where the runner-up did nearly as well, or no recipe made the model sure. */
  readonly sure: boolean;
  readonly trials: readonly RecipeTrial[];
}

/** How much better than another a recipe must be to be taken for the right one: in nats of information … */
const MARGIN = 0.1;
/** … or, where both tell the images apart about as well, in mean confidence. */
const CONFIDENCE_MARGIN = 0.03;

export interface ProbeRequest {
  readonly graph: Graph;
  readonly images: readonly PixelImage[];
  /** The recipe with the defaults; its size and interpolation hold for all trials. */
  readonly recipe: PreprocessRecipe;
  /** Whether the resize was assumed too. */
  readonly tryResize: boolean;
  readonly threads: number;
  /** Told of the runs of the float model. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Tries the usual normalizations on some images with the float model; then, with the best of them, BGR and squashed
 * images.
 *
 * @returns the recipe to use, what was tried, and notices for the user
 */
export async function probeRecipe(
  request: ProbeRequest,
): Promise<{ recipe: PreprocessRecipe; probe: RecipeProbe; notices: string[] }> {
  const { graph, images, recipe, threads, onProgress } = request;
  const { channels } = graph.input;
  const model = await openFloatPool(graphToOnnx(graph), threads);
  const runs = images.length * (PRESET_NAMES.length + (channels === 3 ? 1 : 0) + (request.tryResize ? 1 : 0));
  let done = 0;
  const tried = (count: number): void => onProgress?.((done += count), runs);
  try {
    const cropped = images.map((image) => applyRecipe(image, recipe, channels));
    const trials: RecipeTrial[] = [];
    for (const preset of PRESET_NAMES) {
      trials.push({ preset, channels: 'RGB', resize: 'crop', ...(await trial(model, graph, cropped, preset, tried)) });
    }
    const ranked = [...trials].sort((a, b) => b.information - a.information);
    const byDefault = trials.find(({ preset }) => preset === 'imagenet')!;
    const best = isBetter(ranked[0]!, byDefault) ? ranked[0]! : byDefault;
    const { preset } = best;
    if (channels === 3) {
      const swapped = cropped.map(swapChannels);
      trials.push({ preset, channels: 'BGR', resize: 'crop', ...(await trial(model, graph, swapped, preset, tried)) });
    }
    if (request.tryResize) {
      const whole = { ...recipe, resize: { mode: 'exact', ...recipe.size } } as const;
      const squashed = images.map((image) => applyRecipe(image, whole, channels));
      trials.push({
        preset,
        channels: 'RGB',
        resize: 'squash',
        ...(await trial(model, graph, squashed, preset, tried)),
      });
    }
    return settle(request, best, trials, classCount(graph));
  } finally {
    await model.close();
  }
}

function isBetter(a: RecipeTrial, b: RecipeTrial): boolean {
  const information = a.information - b.information;
  return information > MARGIN || (information > 0 && a.confidence - b.confidence > CONFIDENCE_MARGIN);
}

/** Runs the float model on pixels [height, width, channels] that are normalized as a preset has it. */
async function trial(
  model: FloatModelPool,
  graph: Graph,
  images: readonly Uint8Array[],
  preset: PresetName,
  tried: (count: number) => void,
): Promise<Decisiveness> {
  const { channels, height, width } = graph.input;
  const { mean, std } = normalizationOf(preset, channels);
  const classifier = classifierOf(graph.outputs)!;
  const logits: Float32Array[] = [];
  // As many images at once as the model runs at once: what is asked for lies in memory.
  for (let from = 0; from < images.length; from += model.lanes) {
    const runs = images.slice(from, from + model.lanes).map(async (pixels) => {
      const data = normalizePixels(pixels, channels, mean, std);
      const outputs = await model.run({ [model.inputNames[0]!]: { data, shape: [1, channels, height, width] } });
      return outputOf([...outputs.values()][0]!, classifier);
    });
    logits.push(...(await Promise.all(runs)));
    tried(runs.length);
  }
  return decisiveness(logits);
}

function normalizationOf(preset: PresetName, channels: number): Pick<PreprocessRecipe, 'mean' | 'std'> {
  const { mean, std } = PRESETS[preset];
  return { mean: averaged(mean, channels), std: averaged(std, channels) };
}

function swapChannels(pixels: Uint8Array): Uint8Array {
  return pixels.map((_, i) => pixels[i - (i % 3) + 2 - (i % 3)]!);
}

function settle(
  { graph, images, recipe }: ProbeRequest,
  best: RecipeTrial,
  trials: readonly RecipeTrial[],
  classes: number,
): { recipe: PreprocessRecipe; probe: RecipeProbe; notices: string[] } {
  const { preset } = best;
  const others = trials.filter((one) => one.preset !== preset);
  const next = others.reduce((a, b) => (b.information > a.information ? b : a));
  const isUnsure = isIndecisive(best, classes, images.length);
  const sure = !isUnsure && isBetter(best, next);
  const { mean, std } = normalizationOf(preset, graph.input.channels);
  const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
  const notices = [
    `Nothing says how this model normalizes its images. Of the usual recipes, tried on ${images.length} images, ` +
      `${preset} (mean ${mean.join(' ')}, std ${std.join(' ')}) was chosen: the float model is on average ` +
      `${percent(best.confidence)} sure with it, ${percent(next.confidence)} with ${next.preset}` +
      `${sure ? '' : '. THE DIFFERENCE IS SMALL: this may be wrong'}. Give --preset, or --mean and --std, to say it.`,
  ];
  if (isUnsure) {
    notices.push(
      'WARNING: with none of these recipes do the predictions of the float model tell the images apart. ' +
        'The pre-processing is probably not right, or the images are of another kind than the model was trained on.',
    );
  }
  const bgr = trials.find(({ channels }) => channels === 'BGR');
  if (bgr !== undefined && isBetter(bgr, best)) {
    notices.push(
      `WARNING: the float model is surer of images in BGR order (${percent(bgr.confidence)} against ` +
        `${percent(best.confidence)}). Export it with RGB input; BGR is not supported.`,
    );
  }
  const squashed = trials.find(({ resize }) => resize === 'squash');
  const squashes = squashed !== undefined && isBetter(squashed, best);
  if (squashes) notices.push('Whole images, squashed to the input, do better than the centre crop: they are used.');
  return {
    recipe: {
      ...recipe,
      mean,
      std,
      ...(squashes && { resize: { mode: 'exact', ...recipe.size } as const }),
      source: `${recipe.source}, ${preset} by trial`,
    },
    probe: { chosen: preset, images: images.length, sure, trials },
    notices,
  };
}
