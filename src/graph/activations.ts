import { erf, scalarFunctions } from './scalar.js';
import type { OnnxWriter } from './onnx-writer.js';

/** An activation function: all that tells it from others. */
export interface Activation {
  /** What it computes. */
  readonly apply: (x: number) => number;
  /**
   * H of y = max(x, 0) − H(|x|), for a ≥ 0, in a form that is exact for large a: what the integer kernel's table holds
   * (`activate` in src/kernels/activation.ts).
   */
  readonly evenPart: (a: number) => number;
  /**
   * α and γ of x·σ(αx + γx³), the form that the shift kernels compute with I-ViT's shift exponential, which is up to
   * 6 % too high: those that come nearest to the activation for inputs of standard deviation 1.5. null: it has no
   * exponential.
   */
  readonly shiftForm: { readonly alpha: number; readonly gamma: number } | null;
  /** log2 of where H may be cut off: 64 knots cover as far. */
  readonly reachBits: number;
  /** Writes it as operators of opset 17; the last gives the tensor `id`. */
  readonly toOnnx: (writer: OnnxWriter, x: string, id: string) => void;
}

/** An operator inside of an activation's writing. */
const step =
  (writer: OnnxWriter, id: string) =>
  (op: string, inputs: readonly string[], name: string): string =>
    writer.op(op, inputs, `${id}//${name}`);

/** x·σ(factor·x). */
function writeSwish(writer: OnnxWriter, x: string, id: string, factor: number): void {
  const op = step(writer, id);
  const scaled = factor === 1 ? x : op('Mul', [x, writer.scalar(factor)], 'scaled');
  writer.op('Mul', [x, op('Sigmoid', [scaled], 'sigmoid')], id);
}

/** x·(1 + inner)/2. */
function writeHalf(writer: OnnxWriter, x: string, id: string, inner: string): void {
  const op = step(writer, id);
  const product = op('Mul', [x, op('Add', [inner, writer.scalar(1)], 'sum')], 'product');
  writer.op('Mul', [product, writer.scalar(0.5)], id);
}

/** √(2/π), of GELU's tanh form. */
const ROOT = Math.sqrt(2 / Math.PI);

/** Every activation. A new one is an entry here: kernels, quantizer and importer read it. */
export const activations = {
  gelu: {
    apply: scalarFunctions.gelu,
    // GELU's error is a quarter of what x·σ(1.702x) leaves.
    evenPart: (a) => (a / 2) * (1 - erf(a / Math.SQRT2)),
    shiftForm: { alpha: 1.65, gamma: 0.06 },
    reachBits: 2, // H(4) = 0.0001
    toOnnx(writer, x, id) {
      const op = step(writer, id);
      writeHalf(writer, x, id, op('Erf', [op('Div', [x, writer.scalar(Math.SQRT2)], 'scaled')], 'erf'));
    },
  },
  geluTanh: {
    apply: scalarFunctions.geluTanh,
    evenPart: (a) => a / (1 + Math.exp(2 * ROOT * (a + 0.044715 * a ** 3))),
    shiftForm: { alpha: 1.65, gamma: 0.06 },
    reachBits: 2,
    toOnnx(writer, x, id) {
      const op = step(writer, id);
      const cube = op('Mul', [op('Mul', [x, x], 'square'), x], 'cube');
      const inner = op('Add', [x, op('Mul', [cube, writer.scalar(0.044715)], 'cubic')], 'inner');
      writeHalf(writer, x, id, op('Tanh', [op('Mul', [inner, writer.scalar(ROOT)], 'scaled')], 'tanh'));
    },
  },
  quickGelu: {
    apply: (x) => x * scalarFunctions.sigmoid(1.702 * x),
    evenPart: (a) => a / (1 + Math.exp(1.702 * a)),
    shiftForm: { alpha: 1.735, gamma: 0 },
    reachBits: 3,
    toOnnx: (writer, x, id) => writeSwish(writer, x, id, 1.702),
  },
  silu: {
    apply: (x) => x * scalarFunctions.sigmoid(x),
    evenPart: (a) => a / (1 + Math.exp(a)),
    shiftForm: { alpha: 1.02, gamma: 0 },
    reachBits: 4,
    toOnnx: (writer, x, id) => writeSwish(writer, x, id, 1),
  },
  hardSwish: {
    apply: (x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6,
    evenPart: (a) => (a * Math.max(3 - a, 0)) / 6,
    shiftForm: null,
    reachBits: 2,
    toOnnx: (writer, x, id) => void writer.op('HardSwish', [x], id),
  },
  relu: {
    apply: scalarFunctions.relu,
    evenPart: () => 0,
    shiftForm: null,
    reachBits: 2,
    toOnnx: (writer, x, id) => void writer.op('Relu', [x], id),
  },
} as const satisfies Readonly<Record<string, Activation>>;

export type ActivationKind = keyof typeof activations;

export const ACTIVATION_KINDS = Object.keys(activations) as readonly ActivationKind[];
