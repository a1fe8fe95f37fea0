import type { PreprocessRecipe } from '../images/preprocess/recipe.js';
import type { Provenance } from '../program/model.js';

/** The float model's normalization, (p/255 − mean)/std, from a recipe's (p·scale − mean)/std. */
export function normalizationOf({ mean, std, scale }: Pick<PreprocessRecipe, 'mean' | 'std' | 'scale'>): {
  mean: number[];
  std: number[];
} {
  const gain = 255 * scale;
  return { mean: mean.map((m) => m / gain), std: std.map((s) => s / gain) };
}

/** A recipe's normalization as decimal strings, for a model's provenance. */
export function recordNormalization({ mean, std, scale, source }: PreprocessRecipe): Provenance['normalization'] {
  return { mean: mean.map(String), std: std.map(String), scale: String(scale), source };
}

/** The normalization that a model's provenance records. */
export function recordedNormalization({ normalization }: Provenance): { mean: number[]; std: number[] } {
  const { mean, std, scale } = normalization;
  return normalizationOf({ mean: mean.map(Number), std: std.map(Number), scale: Number(scale) });
}
