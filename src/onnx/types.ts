/** An ONNX model as it stands in the file: names, attributes, and tensors whose data is not read yet. */
export interface OnnxModel {
  readonly irVersion: number;
  readonly producer: string;
  readonly producerVersion: string;
  /** Opset version by domain; the standard domain is ''. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly graph: OnnxGraph;
  readonly functions: readonly OnnxFunction[];
}

export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: ReadonlyMap<string, OnnxTensor>;
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
}

export interface OnnxNode {
  readonly name: string;
  readonly opType: string;
  /** '' for the standard domain. */
  readonly domain: string;
  /** '' where an optional input is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, OnnxAttribute>;
  readonly metadata: ReadonlyMap<string, string>;
}

export interface OnnxAttribute {
  readonly name: string;
  readonly value: AttributeValue;
  /** Inside a function: the name of the caller's attribute that stands here. */
  readonly reference: string;
}

export type AttributeValue =
  | { readonly type: 'float'; readonly number: number }
  | { readonly type: 'int'; readonly number: number }
  | { readonly type: 'string'; readonly text: string }
  | { readonly type: 'floats'; readonly numbers: readonly number[] }
  | { readonly type: 'ints'; readonly numbers: readonly number[] }
  | { readonly type: 'strings'; readonly texts: readonly string[] }
  | { readonly type: 'tensor'; readonly tensor: OnnxTensor }
  | { readonly type: 'graph'; readonly graph: OnnxGraph }
  | { readonly type: 'other' };

/** A model-local function: its node list stands for one node of its name and domain. */
export interface OnnxFunction {
  readonly name: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly OnnxNode[];
  /** Attributes with default values. */
  readonly defaults: readonly OnnxAttribute[];
}

export interface OnnxValueInfo {
  readonly name: string;
  /** TensorProto.DataType; 0 where the value is no tensor. */
  readonly elementType: number;
  /** A number, a symbolic name, or null for each dimension; null as a whole where no shape is given. */
  readonly shape: readonly (number | string | null)[] | null;
}

/** TensorProto: where its data lies, not yet decoded. */
export interface OnnxTensor {
  readonly name: string;
  readonly dims: readonly number[];
  /** TensorProto.DataType. */
  readonly dataType: number;
  readonly raw: Uint8Array | null;
  /** Numbers of whichever typed field (float_data, int32_data, int64_data, double_data, uint64_data) is used. */
  readonly typed: ArrayLike<number> | null;
  readonly external: ReadonlyMap<string, string> | null;
}
