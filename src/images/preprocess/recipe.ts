/** Pre-processing: what is done to a decoded image before the network sees it. */
import * as v from 'valibot';
import { InputError } from '../../errors.js';
import { withChannels } from '../channels.js';
import type { PixelImage } from '../image.js';
import { centerCrop, centerOffset, resize, roundHalfToEven } from '../resample.js';
import { INTERPOLATIONS } from '../resample.js';
import type { Interpolation } from '../resample.js';

export interface Size {
  readonly height: number;
  readonly width: number;
}

/** How an image is scaled before the centre crop. */
export type ResizeRule =
  /** The shorter edge to `length`, the other in proportion, rounded down: torchvision's `Resize(length)`. */
  | { readonly mode: 'shortest'; readonly length: number }
  /** To exactly this size, whatever the proportions. */
  | { readonly mode: 'exact'; readonly height: number; readonly width: number }
  /** In proportion, so that this size is just covered: timm's `ResizeKeepRatio`, for inputs that are not square. */
  | { readonly mode: 'cover'; readonly height: number; readonly width: number };

/** The part of a recipe that inference needs, and the `.ivit` file holds: integers alone. */
export interface ResizeRecipe {
  /** The network's input: what the centre crop cuts out. */
  readonly size: Size;
  readonly resize: ResizeRule;
  readonly interpolation: Interpolation;
}

/** A number for each channel, as a source gives it: one stands for all. */
export type PerChannel = readonly number[];

/** The whole recipe of the float model: resize, crop the centre, then `(pixel · scale − mean) / std` per channel. */
export interface PreprocessRecipe extends ResizeRecipe {
  /** One for each channel of the network's input. */
  readonly mean: PerChannel;
  readonly std: PerChannel;
  /** 1/255, but for models that say otherwise. */
  readonly scale: number;
  /** Where it was found, for provenance. */
  readonly source: string;
}

/**
 * The network's input for an image: `size.height` × `size.width` × `channels` bytes, row-major, channels last.
 * Normalisation is not applied: it is folded into the network's first layer.
 */
export function applyRecipe(given: PixelImage, recipe: ResizeRecipe, channels = 3): Uint8Array {
  const image = withChannels(given, channels);
  const { height, width } = recipe.size;
  const target = resizedSize(image, recipe.resize);
  // Only what the crop will keep is computed: a narrow strip of an image may be millions of pixels long once resized.
  const kept = { width: Math.min(target.width, width), height: Math.min(target.height, height) };
  const window = {
    ...kept,
    left: centerOffset(target.width, kept.width),
    top: centerOffset(target.height, kept.height),
  };
  const resized = resize(image, target.width, target.height, recipe.interpolation, window);
  return kept.width === width && kept.height === height ? resized.data : centerCrop(resized, width, height).data;
}

/** The size to which a rule brings an image, before the crop. */
export function resizedSize(image: Size, rule: ResizeRule): Size {
  const { width, height } = image;
  switch (rule.mode) {
    case 'exact':
      return { height: rule.height, width: rule.width };
    case 'shortest': {
      const { length } = rule;
      if (width <= height) return { height: Math.trunc((length * height) / width), width: length };
      return { height: length, width: Math.trunc((length * width) / height) };
    }
    case 'cover': {
      const ratio = Math.min(height / rule.height, width / rule.width);
      return { height: roundHalfToEven(height / ratio), width: roundHalfToEven(width / ratio) };
    }
  }
}

/** The integer part of a recipe, to be stored in the model. */
export function resizeRecipe({ size, resize, interpolation }: ResizeRecipe): ResizeRecipe {
  return { size, resize, interpolation };
}

/** One line for summaries, e.g. `shortest edge 256, bicubic, centre crop 224×224`. */
export function describeRecipe({ size, resize, interpolation }: ResizeRecipe): string {
  const crop = `centre crop ${size.height}×${size.width}`;
  switch (resize.mode) {
    case 'shortest':
      return `shortest edge ${resize.length}, ${interpolation}, ${crop}`;
    case 'cover':
      return `cover ${resize.height}×${resize.width}, ${interpolation}, ${crop}`;
    case 'exact': {
      const whole = resize.height === size.height && resize.width === size.width;
      return `resize to ${resize.height}×${resize.width}, ${interpolation}${whole ? '' : `, ${crop}`}`;
    }
  }
}

/** The longest edge that a recipe may ask for: far beyond any Vision Transformer, and no memory to fear. */
export const MAX_EDGE = 8192;

const edge = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_EDGE));

/** Checks a recipe read from a `.ivit` file. */
export const ResizeRecipeSchema = v.strictObject({
  size: v.strictObject({ height: edge, width: edge }),
  resize: v.variant('mode', [
    v.strictObject({ mode: v.literal('shortest'), length: edge }),
    v.strictObject({ mode: v.literal('exact'), height: edge, width: edge }),
    v.strictObject({ mode: v.literal('cover'), height: edge, width: edge }),
  ]),
  interpolation: v.picklist(INTERPOLATIONS),
});

/** @throws InputError naming the field at fault; `where` names the file */
export function parseResizeRecipe(value: unknown, where: string): ResizeRecipe {
  const result = v.safeParse(ResizeRecipeSchema, value);
  if (result.success) return result.output;
  const issue = result.issues[0];
  throw new InputError(
    `${where}: the pre-processing recipe is not valid at ${v.getDotPath(issue) ?? 'its root'}: ${issue.message}`,
  );
}
