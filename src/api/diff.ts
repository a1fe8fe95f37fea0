/** In what two models differ. */
import { statSync } from 'node:fs';
import { describeProgram } from '../program/describe.js';
import { loadModel } from '../program/file.js';
import type { StoredModel } from '../program/model.js';

/** One thing of both models; null: the model does not have it. */
export interface Difference {
  readonly name: string;
  readonly a: string | null;
  readonly b: string | null;
}

export interface ModelDiff {
  /** Whether they are the same model: of one hash. */
  readonly same: boolean;
  /** Sizes, settings and where they come from: those that differ. */
  readonly facts: readonly Difference[];
  /** Op by op: shape, type, bits, scale. */
  readonly ops: readonly Difference[];
  /** SQNR of linear layers on held-out calibration images, in dB: those that differ. */
  readonly sqnrDb: readonly Difference[];
}

/**
 * Compares two `.ivit` files.
 *
 * @throws InputError where one cannot be read
 */
export async function diffModels(a: string, b: string): Promise<ModelDiff> {
  const [one, other] = [await loadModel(a), await loadModel(b)];
  return {
    same: one.hash === other.hash,
    facts: differences(factsOf(one, a), factsOf(other, b)),
    ops: differences(opsOf(one), opsOf(other)),
    sqnrDb: differences(sqnrOf(one), sqnrOf(other)),
  };
}

type Facts = ReadonlyMap<string, string>;

/** What differs, in the order of the first, then what the second has beside. */
function differences(a: Facts, b: Facts): Difference[] {
  return [...new Set([...a.keys(), ...b.keys()])]
    .map((name) => ({ name, a: a.get(name) ?? null, b: b.get(name) ?? null }))
    .filter((row) => row.a !== row.b);
}

function factsOf({ program, provenance, preprocess, outputs, labels }: StoredModel, file: string): Facts {
  const { tool, source, normalization, settings, calibration } = provenance;
  const { mean, std } = normalization;
  return new Map([
    ['bytes', String(statSync(file).size)],
    ['written by', tool],
    ['made from', `${source.name}, SHA-256 ${source.sha256.slice(0, 16)}`],
    ['ops', String(program.ops.length)],
    ['outputs', outputs.map(({ name, shape }) => `${name} ${shape.join('×')}`).join(', ')],
    ['labels', labels === null ? 'none' : String(labels.length)],
    ['pre-processing', JSON.stringify(preprocess)],
    ['mean, std', `${mean.join(' ')}, ${std.join(' ')}`],
    ['calibration', `${calibration.images} ${calibration.source}`],
    ...Object.entries(settings),
  ]);
}

function opsOf({ program }: StoredModel): Facts {
  const scaleOf = ({ scale }: ReturnType<typeof describeProgram>[number]): string =>
    scale === null ? '' : `, scale ${scale.least}…${scale.greatest} / 2^${scale.c}`;
  return new Map(
    describeProgram(program).map((op) => [
      op.name,
      `${op.op} ${op.shape.join('×')} ${op.type}` +
        `${op.weightBits === null ? '' : `, weights ${op.weightBits} bits`}${scaleOf(op)}`,
    ]),
  );
}

const sqnrOf = ({ provenance }: StoredModel): Facts =>
  new Map((provenance.layers ?? []).map(({ name, sqnrDb }) => [name, sqnrDb]));
