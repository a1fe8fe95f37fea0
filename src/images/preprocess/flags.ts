/** The command line's pre-processing flags, from text to values. */
import { UsageError } from '../../errors.js';
import { MAX_CHANNELS } from '../image.js';
import { MAX_EDGE } from './recipe.js';
import type { ResizeRule, PerChannel, Size } from './recipe.js';
import type { PresetName } from './presets.js';
import type { Interpolation } from '../resample.js';

/** What the user says about pre-processing; it goes before all that files say. */
export interface RecipeFlags {
  /** The network's input, for models that leave it open. */
  readonly size?: Size;
  /** The share of the resized image that the centre crop keeps, per edge; instead of `resize`. */
  readonly cropPct?: number;
  readonly resize?: ResizeRule;
  /** A usual normalization by name; `mean` and `std` go before it. */
  readonly preset?: PresetName;
  readonly mean?: PerChannel;
  readonly std?: PerChannel;
  readonly interpolation?: Interpolation;
}

/**
 * The flags as typed, words of a list checked:
 * `--size N|HxW --crop-pct P --resize N|HxW --preset NAME --mean R,G,B --std R,G,B --interpolation NAME`.
 */
export interface RecipeFlagTexts {
  readonly size?: string;
  readonly cropPct?: string;
  readonly resize?: string;
  readonly preset?: PresetName;
  readonly mean?: string;
  readonly std?: string;
  readonly interpolation?: Interpolation;
}

/** @throws UsageError naming the flag that is not understood */
export function parseRecipeFlags(texts: RecipeFlagTexts): RecipeFlags {
  const { size, cropPct, resize, preset, mean, std, interpolation } = texts;
  if (cropPct !== undefined && resize !== undefined) {
    throw new UsageError('--crop-pct and --resize both say how to resize: give one of them');
  }
  return {
    ...(size !== undefined && { size: parseSize(size, '--size').size }),
    ...(cropPct !== undefined && { cropPct: parseCropPct(cropPct) }),
    ...(resize !== undefined && { resize: parseResize(resize) }),
    ...(preset !== undefined && { preset }),
    ...(mean !== undefined && { mean: parsePerChannel(mean, '--mean', (x) => Number.isFinite(x)) }),
    ...(std !== undefined && { std: parsePerChannel(std, '--std', (x) => Number.isFinite(x) && x > 0) }),
    ...(interpolation !== undefined && { interpolation }),
  };
}

function parseSize(text: string, flag: string): { size: Size; isSquareNumber: boolean } {
  const match = /^(\d+)(?:x(\d+))?$/i.exec(text.trim());
  const height = Number(match?.[1]);
  const width = Number(match?.[2] ?? match?.[1]);
  if (!(height >= 1 && height <= MAX_EDGE && width >= 1 && width <= MAX_EDGE)) {
    throw new UsageError(`Expected N or HxW, from 1 to ${MAX_EDGE}, for ${flag} but received ${text}`);
  }
  return { size: { height, width }, isSquareNumber: match?.[2] === undefined };
}

/** `N`: the shorter edge; `HxW`: exactly that. */
function parseResize(text: string): ResizeRule {
  const { size, isSquareNumber } = parseSize(text, '--resize');
  return isSquareNumber ? { mode: 'shortest', length: size.height } : { mode: 'exact', ...size };
}

function parseCropPct(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && value <= 1) return value;
  throw new UsageError(`Expected a share above 0 and up to 1 for --crop-pct but received ${text}`);
}

function parsePerChannel(text: string, flag: string, isValid: (x: number) => boolean): PerChannel {
  const parts = text.split(',').map((part) => (part.trim() === '' ? NaN : Number(part)));
  if (parts.length <= MAX_CHANNELS && parts.every(isValid)) return parts;
  const kind = flag === '--std' ? 'positive numbers' : 'numbers';
  throw new UsageError(
    `Expected ${kind}, one for each channel such as R,G,B (or one for all), for ${flag} but received ${text}`,
  );
}
