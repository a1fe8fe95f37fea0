/** What one source says about pre-processing, and what the readers of the sources share. */
import * as v from 'valibot';
import { InputError } from '../../errors.js';
import { MAX_CHANNELS } from '../image.js';
import type { Interpolation } from '../resample.js';
import type { ResizeRule, PerChannel, Size } from './recipe.js';

/** The resize rule depends on the input's size, which another source may settle. */
export interface Findings {
  readonly source: string;
  readonly size?: Size;
  readonly resize?: (size: Size) => ResizeRule;
  readonly interpolation?: Interpolation;
  readonly mean?: PerChannel;
  readonly std?: PerChannel;
  readonly scale?: number;
}

export const edge = v.pipe(v.number(), v.integer(), v.minValue(1));
export const positive = v.pipe(v.number(), v.gtValue(0));
export const HeightWidth = v.object({ height: edge, width: edge });
/** `N`, `[height, width]` or `{"height": …, "width": …}`. */
export const ImageSize = v.union([edge, v.tuple([edge, edge]), HeightWidth]);
const finite = v.pipe(v.number(), v.finite());
/** A number for each channel, or one for all. */
export const Mean = v.union([finite, v.pipe(v.array(finite), v.minLength(1), v.maxLength(MAX_CHANNELS))]);
export const Std = v.union([positive, v.pipe(v.array(positive), v.minLength(1), v.maxLength(MAX_CHANNELS))]);
export const CropPct = v.pipe(v.number(), v.gtValue(0), v.maxValue(2));

export function toSize(value: v.InferOutput<typeof ImageSize>): Size {
  if (typeof value === 'number') return { height: value, width: value };
  if (Array.isArray(value)) return { height: value[0], width: value[1] };
  return { height: value.height, width: value.width };
}

export function perChannel(value: number | PerChannel | null | undefined): PerChannel | undefined {
  return typeof value === 'number' ? [value] : (value ?? undefined);
}

/** timm's centre crop: resize to ⌊size / pct⌋, keep the proportions, and cut out the middle. */
export function keepCenter(pct: number): (size: Size) => ResizeRule {
  return ({ height, width }) => {
    const scaled = { height: Math.floor(height / pct), width: Math.floor(width / pct) };
    if (scaled.height === scaled.width) return { mode: 'shortest', length: scaled.height };
    return { mode: 'cover', ...scaled };
  };
}

/** timm's squash: both edges to ⌊size / pct⌋, whatever the proportions. */
export function squash(pct: number): (size: Size) => ResizeRule {
  return ({ height, width }) => ({ mode: 'exact', height: Math.floor(height / pct), width: Math.floor(width / pct) });
}

/** Pillow's numbers and everyone's names; other filters are replaced by bicubic, with a notice. */
export function interpolationOf(
  value: number | string | null | undefined,
  source: string,
  notices: string[],
): Interpolation | undefined {
  if (value === null || value === undefined) return undefined;
  const name = String(value).toLowerCase().replace(/^.*\./, '');
  if (name === '3' || name === 'bicubic') return 'bicubic';
  if (name === '2' || name === 'bilinear') return 'bilinear';
  notices.push(`${source}: interpolation ${value} is not supported; bicubic is used instead.`);
  return 'bicubic';
}

/** @throws InputError naming the key whose value cannot be used */
export function check<S extends v.GenericSchema>(schema: S, content: unknown, where: string): v.InferOutput<S> {
  const result = v.safeParse(schema, content);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const key = v.getDotPath(issue) ?? 'its root';
  throw new InputError(
    `${where}: the pre-processing value ${key} cannot be used: ${issue.message}. Mend it there, or move the file away`,
  );
}
