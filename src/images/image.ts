/** An 8-bit RGB image: the one form in which pixels travel from decoding to the network's input. */
export interface RgbImage {
  /** Row-major, channels last: `data[(y · width + x) · 3 + channel]`, 3 · width · height bytes. */
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}
