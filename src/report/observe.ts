/** What happens inside of an integer model: the integers of its layers, and its functions beside the exact ones. */
import { traceProgram } from '../engine/trace.js';
import type { OpRunner, Value } from '../engine/types.js';
import type { ActivationKind } from '../graph/types.js';
import type { LinearOp, Program } from '../program/types.js';
import { ActivationErrors } from './activation-errors.js';
import { IntegerCounts, weightHistogram } from './histogram.js';
import { SoftmaxErrors } from './softmax-errors.js';
import type { Analysis, LayerIntegers } from './types.js';

type Observed = Pick<
  Analysis,
  'observedImages' | 'layers' | 'softmax' | 'softmaxCurve' | 'activations' | 'activationCurve'
>;

/**
 * Runs the images through the program, op by op.
 *
 * @param layerNames the linear layers to look at; a layer's second plane counts as the layer
 * @param kindOf the activation that an op of a name stands for, null where it is not known
 */
export async function observeProgram(
  program: Program,
  runner: OpRunner,
  images: readonly Uint8Array[],
  { layerNames, kindOf }: { layerNames: ReadonlySet<string>; kindOf: (name: string) => ActivationKind | null },
): Promise<Observed> {
  const layers = new Map<number, LayerCounts>();
  const softmax = new SoftmaxErrors();
  const activations = new ActivationErrors(kindOf);
  for (const pixels of images) {
    traceProgram(program, runner, pixels, (op, operands, result, index) => {
      if (op.op === 'linear' && layerNames.has(op.name)) {
        const counts = layers.get(index) ?? new LayerCounts(op, operands[0], result);
        layers.set(index, counts);
        counts.add(operands[0], result);
      } else if (op.op === 'attention') {
        softmax.add(op, quantizedOf(operands));
      } else if (op.op === 'activation') {
        activations.add(op, operands[0]);
      }
    });
    await new Promise(setImmediate); // let signals and the progress bar through
  }
  return {
    observedImages: images.length,
    layers: [...layers.values()].map((counts) => counts.result()),
    softmax: softmax.errors(),
    softmaxCurve: softmax.curve(),
    activations: activations.errors(),
    activationCurve: activations.curve(),
  };
}

function quantizedOf([q, k]: readonly Value[]): { q: Int8Array; k: Int8Array } {
  return { q: q.data as Int8Array, k: k.data as Int8Array };
}

class LayerCounts {
  readonly #inputs: IntegerCounts;
  readonly #outputs: IntegerCounts;

  constructor(
    readonly op: LinearOp,
    input: Value,
    output: Value,
  ) {
    this.#inputs = new IntegerCounts(input.out);
    this.#outputs = new IntegerCounts(output.out);
  }

  add(input: Value, output: Value): void {
    this.#inputs.add(input.data);
    this.#outputs.add(output.data);
  }

  result(): LayerIntegers {
    const { name, weight, weightBits } = this.op;
    return {
      name,
      weights: weightHistogram(weight, weightBits),
      inputs: this.#inputs.result(),
      outputs: this.#outputs.result(),
    };
  }
}
