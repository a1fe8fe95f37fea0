/**
 * Processor types that fixtures/scripts/processor_types.py does not cover, by their classes in transformers:
 * EfficientFormer, which transformers 5 has no more; DINOv3, which is there for torchvision alone; and Perceiver, which
 * crops before it resizes.
 */
const IMAGENET = { image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] };
const COMMON = {
  size: { height: 224, width: 224 },
  default_to_square: true,
  do_resize: true,
  do_rescale: true,
  rescale_factor: 1 / 255,
  do_normalize: true,
  ...IMAGENET,
};

export const OTHER_DEFAULTS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  DINOv3ViT: { ...COMMON, resample: 2 },
  EfficientFormer: { ...COMMON, resample: 3, do_center_crop: true, crop_size: { height: 224, width: 224 } },
  /** The middle of the image, size / crop_size of its shorter edge, resized to `size`. */
  Perceiver: { ...COMMON, resample: 3, do_center_crop: true, crop_size: { height: 256, width: 256 } },
};

export const OTHER_MODELS: Readonly<Record<string, string>> = {
  dinov3_vit: 'DINOv3ViT',
  dinov3_convnext: 'DINOv3ViT',
  efficientformer: 'EfficientFormer',
  perceiver: 'Perceiver',
};
