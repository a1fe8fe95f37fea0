/** How near an integer program's outputs are to the float graph's. */
import type { Graph } from '../graph/types.js';
import { agreementOf } from '../metrics/agreement.js';
import { classifierOf, distinctOutputs, outputOf, type ModelOutput } from '../metrics/output.js';
import { OutputsMeter } from '../metrics/similarity.js';
import type { QuantizeResult } from './request.js';

/** @param float, integer the outputs of each image, both in real units */
export function compareOutputs(
  { outputs }: Pick<Graph, 'outputs'>,
  float: readonly Float32Array[],
  integer: readonly Float64Array[],
): Pick<QuantizeResult, 'agreement' | 'outputs' | 'constantOutputs'> {
  const meter = new OutputsMeter(outputs);
  float.forEach((values, i) => meter.add(values, integer[i]));
  const classifier = classifierOf(outputs);
  const scores = <T extends Float32Array | Float64Array>(values: T): T =>
    classifier === null ? values : outputOf(values, classifier);
  return {
    agreement: agreementOf(float.map(scores), integer.map(scores)),
    outputs: meter.result(),
    constantOutputs: outputs.filter((output) => isConstant(float, output)).map(({ name }) => name),
  };
}

/** Whether an output is the same for all of several images. */
function isConstant(float: readonly Float32Array[], output: ModelOutput): boolean {
  if (float.length < 2) return false;
  const first = outputOf(float[0], output);
  return float.every((values) => outputOf(values, output).every((value, i) => value === first[i]));
}

/**
 * Squared errors of the outputs as a share of their energy: each output counts alike, whatever its magnitude.
 */
export class RelativeError {
  readonly #parts: { readonly output: Graph['outputs'][number]; signal: number; noise: number }[];

  constructor({ outputs }: Pick<Graph, 'outputs'>) {
    this.#parts = distinctOutputs(outputs).map((output) => ({ output, signal: 0, noise: 0 }));
  }

  add(exact: Float32Array, other: Float32Array): void {
    for (const part of this.#parts) {
      const [a, b] = [outputOf(exact, part.output), outputOf(other, part.output)];
      for (let i = 0; i < a.length; i++) {
        part.signal += a[i] * a[i];
        part.noise += (a[i] - b[i]) ** 2;
      }
    }
  }

  result(): number {
    return (
      this.#parts.reduce((sum, { signal, noise }) => sum + (noise === 0 ? 0 : noise / signal), 0) / this.#parts.length
    );
  }
}
