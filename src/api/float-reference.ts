/** The float model that an integer one is compared with, run on the very pixels that the integer one saw. */
import { normalizePixels } from '../calibrate/collect.js';
import { openFloatModel } from '../calibrate/runtime.js';
import type { FloatModel } from '../calibrate/runtime.js';
import { InputError } from '../errors.js';
import type { Graph } from '../graph/types.js';
import type { ImportedModel } from '../importer/index.js';
import { classifierOf, distinctOutputs, outputOf, outputSize } from '../metrics/output.js';
import type { ModelOutput } from '../metrics/output.js';
import { importOrNull, openFloatFile } from './float-file.js';
import { recordedNormalization } from './float-input.js';
import { hashFile } from './hash.js';
import type { Model } from './model.js';

/** Where the numbers of one of the integer model's outputs come from. */
interface Source {
  readonly output: ModelOutput;
  /** Name of an output of the float session. */
  readonly name: string;
  /** Its place in that. */
  readonly start: number;
}

/** What the float model's file is. */
interface FloatFile {
  readonly sha256: string;
  readonly graph: Graph | null;
}

export class FloatReference {
  private constructor(
    private readonly float: FloatModel,
    private readonly model: Model,
    private readonly path: string,
    private readonly sources: readonly Source[],
    private readonly file: FloatFile,
  ) {}

  /** @throws InputError where the file cannot be run, or lacks an output that the integer model has */
  static async open(path: string, model: Model, onNotice?: (notice: string) => void): Promise<FloatReference> {
    const imported = await importLike(path, model);
    const { float, isGraph } = await openFloatFile(path, imported, { threads: model.threads });
    const { name, sha256 } = model.file.provenance.source;
    const own = await hashFile(path);
    if (own !== sha256) onNotice?.(`${path} is not the file that the model was made from (${name}).`);
    const sources = distinctOutputs(model.file.outputs).map((output) => {
      const source = imported === null ? null : outputLike(output, model, imported);
      // The graph written as ONNX has one output, which holds all.
      if (isGraph && source !== null) return { output, name: float.outputNames[0], start: source.start };
      const wanted = source?.name ?? output.name;
      return { output, name: float.outputNames.find((one) => one === wanted) ?? float.outputNames[0], start: 0 };
    });
    return new FloatReference(float, model, path, sources, { sha256: own, graph: imported?.graph ?? null });
  }

  /** Of a file with one output, which holds all of the model's end to end. */
  static async openWhole(path: string, model: Model): Promise<FloatReference> {
    const float = await openFloatModel(path, { threads: model.threads });
    const [name] = float.outputNames;
    const sources = distinctOutputs(model.file.outputs).map((output) => ({ output, name, start: output.start }));
    return new FloatReference(float, model, path, sources, { sha256: await hashFile(path), graph: null });
  }

  /** Of the ONNX file. */
  get sha256(): string {
    return this.file.sha256;
  }

  /** The canonical graph; null where the file is not imported, as a quantized one is not. */
  get graph(): Graph | null {
    return this.file.graph;
  }

  /** Name of the one input. */
  get inputName(): string {
    return this.float.inputNames[0];
  }

  get runtime(): string {
    return this.float.runtime;
  }

  /** The float model's numbers for pixels, laid out as the integer model's are; before the steps left to display. */
  async run(pixels: Uint8Array): Promise<Float32Array> {
    const { program, provenance, outputs } = this.model.file;
    const { height, width, channels } = program.input;
    const { mean, std } = recordedNormalization(provenance);
    const data = normalizePixels(pixels, channels, mean, std);
    const [input] = this.float.inputNames;
    const names = [...new Set(this.sources.map(({ name }) => name))];
    const found = await this.float
      .run({ [input]: { data, shape: [1, channels, height, width] } }, names)
      .catch((error: Error) => {
        throw new InputError(
          `${this.path} cannot be run on ${height}×${width} pixels: ${error.message.split('\n')[0]}`,
          { cause: error, code: 'FLOAT_RUNTIME' },
        );
      });
    const all = new Float32Array(distinctOutputs(outputs).reduce((sum, output) => sum + outputSize(output), 0));
    for (const { output, name, start } of this.sources) {
      const values = found.get(name)!;
      const size = outputSize(output);
      const isWhole = this.sources.filter((source) => source.name === name).length === 1 && start === 0;
      if (values.length < start + size || (isWhole && values.length !== size))
        throw new InputError(`${this.path} has ${values.length} outputs, the .ivit model ${size}: ${SAME}`);
      outputOf(all, output).set(values.subarray(start, start + size));
    }
    return all;
  }

  close(): Promise<void> {
    return this.float.close();
  }
}

const SAME = 'they are not the same network, give the ONNX file that the .ivit was made from';

/** The float model with the integer model's outputs; null where it is not imported, as a quantized one is not. */
async function importLike(path: string, model: Model): Promise<ImportedModel | null> {
  const { height, width } = model.file.program.input;
  const size = [height, width] as const;
  const outputs = model.outputs.map(({ name }) => name);
  return (await importOrNull(path, { size, outputs })) ?? importOrNull(path, { size });
}

/** The output of the float model that is meant: that of the name, else what it would be taken for by itself. */
function outputLike(output: ModelOutput, model: Model, { graph: { outputs } }: ImportedModel): ModelOutput {
  const alone = model.file.outputs.length === 1 ? (classifierOf(outputs) ?? outputs[0]) : undefined;
  const source = outputs.find(({ name }) => name === output.name) ?? alone;
  if (source === undefined) throw new InputError(`The float model has no output ${output.name}: ${SAME}`);
  return source;
}
