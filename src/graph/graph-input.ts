/** The model's input: one image. */
export interface GraphInput {
  /** The ONNX input's name. */
  readonly name: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** False for each of batch, height, width that the ONNX file leaves dynamic. */
  readonly fixed: { readonly batch: boolean; readonly height: boolean; readonly width: boolean };
  /** True where the ONNX file takes integers of 0 to 255; the graph takes 0 to 1, without any normalization. */
  readonly isInteger?: boolean;
}
