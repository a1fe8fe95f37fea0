/** The usual normalizations of image networks, by the names that users know them by. */
import type { PerChannel } from './recipe.js';

export const PRESETS = {
  /** torchvision, timm, DeiT, Swin, DINOv2. */
  imagenet: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  /** TensorFlow's networks: ViT, BEiT, MLP-Mixer. */
  inception: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  /** OpenAI's CLIP. */
  clip: { mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711] },
  /** Pixels of 0 to 1, as networks take them that normalize for themselves. */
  raw: { mean: [0, 0, 0], std: [1, 1, 1] },
} as const satisfies Readonly<Record<string, { readonly mean: PerChannel; readonly std: PerChannel }>>;

/** RGB's numbers for a network of so many channels: their mean for each, where the channels are not RGB. */
export function averaged(values: PerChannel, channels: number): PerChannel {
  if (channels === 3) return values;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Array.from({ length: channels }, () => Number(mean.toPrecision(6)));
}

export type PresetName = keyof typeof PRESETS;

export const PRESET_NAMES = Object.keys(PRESETS) as PresetName[];
