/** An 8-bit RGB image: what decoders of photographs give. */
export interface RgbImage {
  /** Row-major, channels last: `data[(y · width + x) · 3 + channel]`, 3 · width · height bytes. */
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** An 8-bit image of 1 to 16 channels: the one form in which pixels travel from decoding to the network's input. */
export interface PixelImage extends RgbImage {
  /** 3, RGB, where it is left out; `data` then has so many bytes a pixel. */
  readonly channels?: number;
}

/** The most channels that an image, and a model's input, may have. */
export const MAX_CHANNELS = 16;
