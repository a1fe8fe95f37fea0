/** A map over the image: [height, width] cells, row-major, none negative. */
export interface ImageMap {
  readonly title: string;
  readonly grid: readonly [height: number, width: number];
  readonly values: Float64Array;
}
