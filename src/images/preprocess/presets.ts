/** The usual normalizations of image networks, by the names that users know them by. */
import type { Rgb } from './recipe.js';

export const PRESETS = {
  /** torchvision, timm, DeiT, Swin, DINOv2. */
  imagenet: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  /** TensorFlow's networks: ViT, BEiT, MLP-Mixer. */
  inception: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  /** OpenAI's CLIP. */
  clip: { mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711] },
  /** Pixels of 0 to 1, as networks take them that normalize for themselves. */
  raw: { mean: [0, 0, 0], std: [1, 1, 1] },
} as const satisfies Readonly<Record<string, { readonly mean: Rgb; readonly std: Rgb }>>;

export type PresetName = keyof typeof PRESETS;

export const PRESET_NAMES = Object.keys(PRESETS) as PresetName[];
