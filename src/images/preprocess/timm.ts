/** timm's `pretrained_cfg` in config.json, the same names in ONNX metadata, and OpenCLIP's `preprocess_cfg`. */
import path from 'node:path';
import * as v from 'valibot';
import { InputError } from '../../errors.js';
import {
  CropPct,
  ImageSize,
  Mean,
  Std,
  check,
  edge,
  interpolationOf,
  keepCenter,
  squash,
  perChannel,
  toSize,
} from './findings.js';
import type { Findings } from './findings.js';

const TimmConfig = v.object({
  input_size: v.nullish(v.union([v.tuple([edge, edge, edge]), ImageSize])),
  crop_pct: v.nullish(CropPct),
  crop_mode: v.nullish(v.string()),
  interpolation: v.nullish(v.string()),
  mean: v.nullish(Mean),
  std: v.nullish(Std),
});

/** @throws InputError naming the file and the key whose value cannot be used */
export function fromTimm(file: string, content: object, notices: string[]): Findings {
  const source = path.basename(file);
  const config = check(TimmConfig, content, file);
  const input = config.input_size;
  const pct = config.crop_pct ?? undefined;
  const mode = config.crop_mode ?? 'center';
  if (mode !== 'center' && mode !== 'squash') {
    notices.push(`${source}: crop_mode ${mode} is not supported; the centre crop of the image is used instead.`);
  }
  return {
    source,
    size: input == null ? undefined : toSize(Array.isArray(input) && input.length === 3 ? [input[1], input[2]] : input),
    resize: pct !== undefined ? (mode === 'squash' ? squash(pct) : keepCenter(pct)) : undefined,
    interpolation: interpolationOf(config.interpolation, source, notices),
    mean: perChannel(config.mean),
    std: perChannel(config.std),
  };
}

/** ONNX metadata under timm's names, as strings: JSON, or numbers between commas. What makes no sense is left alone. */
export function fromMetadata(metadata: Readonly<Record<string, string>>, notices: string[]): Findings {
  const source = 'the ONNX metadata';
  const keys = Object.keys(TimmConfig.entries).filter((key) => key in metadata);
  const content = Object.fromEntries(keys.map((key) => [key, parseNumbers(metadata[key]!)]));
  try {
    return fromTimm(source, content, notices);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    notices.push(`${error.message}; the metadata are ignored.`);
    return { source };
  }
}

function parseNumbers(text: string): string | number | number[] {
  const list = /^[\s([]*([-+.\deE\s,]+)[\s)\]]*$/.exec(text)?.[1]?.split(',').map(Number);
  if (list === undefined || list.some(Number.isNaN)) return text.trim();
  return list.length === 1 ? list[0]! : list;
}

const OpenClipConfig = v.object({
  size: v.nullish(ImageSize),
  interpolation: v.nullish(v.string()),
  resize_mode: v.nullish(v.picklist(['shortest', 'squash'], 'only shortest and squash are supported')),
  mean: v.nullish(Mean),
  std: v.nullish(Std),
});

/** What OpenCLIP takes where `preprocess_cfg` is silent: the values CLIP was trained with. */
const OPENAI_MEAN = [0.48145466, 0.4578275, 0.40821073] as const;
const OPENAI_STD = [0.26862954, 0.26130258, 0.27577711] as const;

/**
 * `open_clip_config.json`: resize to the very size of the input, by the shorter edge and a centre crop or squashed.
 *
 * @throws InputError naming the file and the key whose value cannot be used
 */
export function fromOpenClip(file: string, content: Readonly<Record<string, unknown>>, notices: string[]): Findings {
  const source = path.basename(file);
  const config = check(OpenClipConfig, content['preprocess_cfg'] ?? {}, `${file}: preprocess_cfg`);
  const vision = (content['model_cfg'] as { vision_cfg?: { image_size?: unknown } } | undefined)?.vision_cfg;
  const size = v.safeParse(ImageSize, config.size ?? vision?.image_size);
  return {
    source,
    size: size.success ? toSize(size.output) : undefined,
    resize: config.resize_mode === 'squash' ? squash(1) : keepCenter(1),
    interpolation: interpolationOf(config.interpolation ?? 'bicubic', source, notices),
    mean: perChannel(config.mean) ?? OPENAI_MEAN,
    std: perChannel(config.std) ?? OPENAI_STD,
    scale: 1 / 255,
  };
}
