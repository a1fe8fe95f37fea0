/** The image processors of Hugging Face's transformers, from `preprocessor_config.json` and `processor_config.json`. */
import path from 'node:path';
import * as v from 'valibot';
import type { ResizeRule, PerChannel, Size } from './recipe.js';
import {
  CropPct,
  HeightWidth,
  ImageSize,
  Mean,
  Std,
  check,
  edge,
  interpolationOf,
  keepCenter,
  positive,
  perChannel,
  toSize,
} from './findings.js';
import type { Findings } from './findings.js';
import { OTHER_DEFAULTS, OTHER_MODELS } from './other-processor-types.js';
import { PROCESSOR_DEFAULTS, PROCESSOR_OF_MODEL } from './processor-types.js';

const DEFAULTS = { ...PROCESSOR_DEFAULTS, ...OTHER_DEFAULTS };
const OF_MODEL = { ...PROCESSOR_OF_MODEL, ...OTHER_MODELS };

const HuggingFaceConfig = v.object({
  do_resize: v.nullish(v.boolean(), true),
  size: v.nullish(
    v.union([
      edge,
      v.tuple([edge, edge]),
      HeightWidth,
      v.object({ shortest_edge: edge, longest_edge: v.optional(v.null()) }),
    ]),
  ),
  default_to_square: v.nullish(v.boolean()),
  crop_pct: v.nullish(CropPct),
  do_center_crop: v.nullish(v.boolean()),
  crop_size: v.nullish(ImageSize),
  resample: v.nullish(v.union([v.number(), v.string()])),
  do_rescale: v.nullish(v.boolean(), true),
  rescale_factor: v.nullish(positive),
  rescale_offset: v.nullish(v.boolean()),
  include_top: v.nullish(v.boolean()),
  do_normalize: v.nullish(v.boolean(), true),
  image_mean: v.nullish(Mean),
  image_std: v.nullish(Std),
  do_flip_channel_order: v.nullish(v.literal(false, 'images in BGR order are not supported')),
});
type Config = v.InferOutput<typeof HuggingFaceConfig>;

/**
 * Reads a processor's configuration; keys that it leaves out have the values of its own type's class. The type is the
 * file's, else the one that transformers uses for the model's `model_type`.
 *
 * @throws InputError naming the file and the key whose value cannot be used
 */
export function fromHuggingFace(
  file: string,
  content: Readonly<Record<string, unknown>>,
  modelType: unknown,
  notices: string[],
): Findings {
  const source = path.basename(file);
  const type = processorType(content, modelType);
  const defaults = (type !== undefined && DEFAULTS[type]) || {};
  const config = check(HuggingFaceConfig, { ...defaults, ...given(content) }, file);
  const missing = ['size', 'resample', 'image_mean', 'image_std'].filter((key) => content[key] == null);
  if (type !== undefined && missing.length > 0) {
    notices.push(`${source} leaves out ${missing.join(', ')}: the defaults of ${type}ImageProcessor are used.`);
  }
  const { own, resize } = geometry(config, type);
  if (!config.do_resize) {
    notices.push(`${source} asks for images that already have the model's size; others are resized to it.`);
  }
  return {
    source: type !== undefined && missing.length > 0 ? `${source}, ${type}ImageProcessor's defaults` : source,
    size: own,
    resize,
    interpolation: interpolationOf(config.resample, source, notices),
    ...normalization(config, type),
  };
}

function given(content: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(content).filter(([, value]) => value !== null && value !== undefined));
}

/**
 * `ViT` for ViTImageProcessor, ViTImageProcessorFast and ViTFeatureExtractor; undefined for a type that is not known.
 */
function processorType(content: Readonly<Record<string, unknown>>, modelType: unknown): string | undefined {
  const named = content['image_processor_type'] ?? content['feature_extractor_type'];
  if (typeof named === 'string') {
    const type = ALIASES[named] ?? named.replace(/(ImageProcessor(Fast|Pil)?|FeatureExtractor)$/, '');
    return type in DEFAULTS ? type : undefined;
  }
  return typeof modelType === 'string' ? OF_MODEL[modelType] : undefined;
}

const ALIASES: Readonly<Record<string, string>> = {
  ConvNextFeatureExtractor: 'ConvNext',
  DeitFeatureExtractor: 'DeiT',
};

/** The size that the processor makes, and how it scales images for an input of another size. */
function geometry(config: Config, type: string | undefined): { own?: Size; resize?: (size: Size) => ResizeRule } {
  const { size } = config;
  const shortest = shortestEdge(config);
  const exact = shortest === undefined && size != null ? toSize(size as v.InferOutput<typeof ImageSize>) : undefined;
  const crops = config.do_center_crop ?? config.crop_size != null;
  const crop = crops && config.crop_size ? toSize(config.crop_size) : undefined;
  if (type === 'Perceiver' && crop && exact)
    return { own: exact, resize: keepCenter(Math.min(exact.height / crop.height, exact.width / crop.width)) };
  const own = crop ?? exact ?? (shortest === undefined ? undefined : { height: shortest, width: shortest });
  if (!config.do_resize) return { own, resize: (input) => ({ mode: 'exact', ...input }) };
  if (shortest !== undefined) return { own, resize: resizeShortest(shortest, own!, config, type) };
  if (exact === undefined) return { own };
  const pct = type === 'PoolFormer' ? config.crop_pct : undefined;
  if (pct != null) return { own, resize: keepCenter(pct) };
  return {
    own,
    resize: (input) => ({
      mode: 'exact',
      height: Math.floor((exact.height * input.height) / own!.height),
      width: Math.floor((exact.width * input.width) / own!.width),
    }),
  };
}

/** ConvNeXt, LeViT and PoolFormer enlarge the shorter edge by a share of their own; ConvNeXt squashes from 384 on. */
function resizeShortest(
  shortest: number,
  own: Size,
  { crop_pct: pct }: Config,
  type: string | undefined,
): (size: Size) => ResizeRule {
  if (type === 'ConvNext' && shortest >= 384) return (size) => ({ mode: 'exact', ...size });
  if (type === 'Levit') {
    const enlarged = Math.floor((256 / 224) * shortest);
    return (size) => ({ mode: 'shortest', length: scaleEdge(enlarged, size, own) });
  }
  if (pct == null) return (size) => ({ mode: 'shortest', length: scaleEdge(shortest, size, own) });
  const enlarged = Math.floor(shortest / pct);
  return (size) => {
    const isOwn = size.height === own.height && size.width === own.width;
    return isOwn ? { mode: 'shortest', length: enlarged } : keepCenter(pct)(size);
  };
}

/** A bare number is the shorter edge or both, as the type has it. */
function shortestEdge({ size, default_to_square: square }: Config): number | undefined {
  if (typeof size === 'number') return (square ?? true) ? undefined : size;
  return typeof size === 'object' && size !== null && 'shortest_edge' in size ? size.shortest_edge : undefined;
}

/** A shortest edge given for input size `own`, for another `size`: the crop keeps the same share of the image. */
function scaleEdge(length: number, size: Size, own: Size): number {
  return Math.floor((length * Math.min(size.height, size.width)) / Math.min(own.height, own.width));
}

/** `(p · scale − mean) / std`; EfficientNet's may subtract 1 after scaling, and divides by std once more. */
function normalization(config: Config, type: string | undefined): Pick<Findings, 'mean' | 'std' | 'scale'> {
  const normalizes = config.do_normalize && type !== 'MobileViT';
  let mean: PerChannel | undefined = normalizes ? perChannel(config.image_mean) : [0];
  let std: PerChannel | undefined = normalizes ? perChannel(config.image_std) : [1];
  if (type === 'EfficientNet' && mean && std) {
    const given = perChannel(config.image_std) ?? std;
    if (config.rescale_offset) mean = mean.map((m) => m + 1);
    if (config.include_top) std = given.map((factor, c) => (std![c] ?? std![0]!) * factor);
  }
  return { mean, std, scale: config.do_rescale ? (config.rescale_factor ?? undefined) : 1 };
}
