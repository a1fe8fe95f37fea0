/** Proves what a `.ivit` file promises, and compares all that can run it. */
import { everyEngine } from '../engine/every.js';
import { createReferenceEngine } from '../engine/reference.js';
import type { Engine } from '../engine/types.js';
import { UsageError } from '../errors.js';
import { decibels } from '../number-format.js';
import type { MemoryOptions } from '../program/budget.js';
import { loadModel } from '../program/file.js';
import { headroomOf, type Headroom } from '../program/headroom.js';
import { requireIntegers } from '../program/integer-only.js';
import type { IvitModel } from '../program/model.js';
import { definitionOf } from '../program/ops/index.js';
import { tensorsOf } from '../program/tensors.js';
import type { Program } from '../program/types.js';
import { evaluateRows } from './evaluate.js';
import type { FloatComparison } from './evaluation.js';
import { checkInputs } from './inputs.js';
import { watched } from './long-work.js';
import type { LongWork } from './long-work.js';
import { Model } from './model.js';
import { probeImages, type ProbeImage } from './verify-images.js';

export interface VerifyRequest extends MemoryOptions, LongWork<'compare'> {
  /** The float model to compare with, on `images`. */
  readonly against?: string;
  /** A folder of images, or a list of them. */
  readonly images?: string;
  /** Least share of images that both models decide alike; it is checked where it is given. */
  readonly minAgreement?: number;
  /** Images of noise that backends are compared on. Default: 4. */
  readonly noise?: number;
  readonly seed?: number;
  readonly onNotice?: (text: string) => void;
}

export interface Check {
  readonly name: string;
  readonly passed: boolean;
  readonly detail: string;
}

export interface Verification {
  readonly checks: readonly Check[];
  readonly ops: readonly Headroom[];
  /** Digest-like comparison: what was run, on how many threads, and whether its logits are those of the first. */
  readonly engines: readonly { readonly name: string; readonly threads: number; readonly equal: boolean }[];
  readonly agreement?: FloatComparison & { readonly images: number };
}

/** Above this many multiply-accumulates an image the reference, which is slow, runs on two images alone. */
const REFERENCE_MACS = 2 ** 28;
const THREADS = [1, 2];

/**
 * Checks a model. A file that breaks the format, or whose numbers can overflow, is not loaded at all.
 *
 * @returns what was checked; some of it may have failed
 * @throws InputError where the file is refused, or the float model or the images cannot be used
 */
export async function verify(file: string, given: VerifyRequest = {}): Promise<Verification> {
  const request = watched(given);
  if ((request.against === undefined) !== (request.images === undefined))
    throw new UsageError('--against needs --images, and --images needs --against');
  if (request.minAgreement !== undefined && request.against === undefined)
    throw new UsageError('--min-agreement is of the float model: give it too, with --against model.onnx --images DIR');
  checkInputs([request.against, request.images], [request.images]);
  const model = await loadModel(file, request);
  requireIntegers(model.program, 'there is nothing to prove');
  const ops = headroomOf(model.program);
  const { noise = 4, seed = 1 } = request;
  const compared = await compareEngines(model.program, probeImages(model.program, noise, seed), request);
  const agreement = request.against === undefined ? undefined : await compareWithFloat(file, request);
  const checks = [
    ...staticChecks(model, ops),
    enginesCheck(compared),
    ...(agreement === undefined ? [] : [agreementCheck(agreement, request.minAgreement)]),
  ];
  return { checks, ops, engines: compared.engines, ...(agreement !== undefined && { agreement }) };
}

/** What loading has proven: it would have been refused otherwise. */
function staticChecks({ program }: IvitModel, ops: readonly Headroom[]): Check[] {
  // Tied weights are one array; packed ones are unpacked by now.
  const tensors = new Set(program.ops.flatMap(tensorsOf).map(([, data]) => data));
  const bytes = [...tensors].reduce((sum, { byteLength }) => sum + byteLength, 0);
  const spares = ops.filter(({ spare }) => spare !== null);
  const least = spares.reduce((a, b) => (b.spare! < a.spare! ? b : a), spares[0]);
  const passed = true;
  return [
    { name: 'container', passed, detail: `sound; ${tensors.size} tensors, ${bytes} bytes in memory; the hash holds` },
    { name: 'structure', passed, detail: `${program.ops.length} ops: types, shapes, indices and ranges agree` },
    {
      name: 'no overflow',
      passed,
      detail:
        'proven for any image' + (least === undefined ? '' : `; least spare: ${least.spare} bits (${least.name})`),
    },
    { name: 'integers only', passed, detail: 'every tensor and every number of the program is an integer' },
  ];
}

interface Compared {
  readonly engines: Verification['engines'];
  readonly images: number;
  readonly referenceImages: number;
}

async function compareEngines(
  program: Program,
  images: readonly ProbeImage[],
  { maxMemory, onProgress }: VerifyRequest,
): Promise<Compared> {
  const pixels = images.map((image) => image.pixels);
  const kinds = await everyEngine();
  const total = kinds.length * THREADS.length + 1;
  const macs = program.ops.reduce((sum, op) => sum + (definitionOf(op).macs?.(op) ?? 0), 0);
  const referenceImages = macs > REFERENCE_MACS ? 2 : pixels.length;
  let expected: Int32Array[] = await runOn(createReferenceEngine(program), pixels.slice(-referenceImages));
  const engines: { name: string; threads: number; equal: boolean }[] = [{ name: 'reference', threads: 1, equal: true }];
  onProgress?.('compare', 1, total);
  for (const { name, create } of kinds)
    for (const threads of THREADS) {
      const logits = await runOn(create(program, threads, { maxMemory }), pixels);
      // The reference has the last images; the first engine that equals it there tells the others of all.
      const equal = expected.every((one, i) => isEqual(one, logits[logits.length - expected.length + i]));
      if (equal && expected.length < logits.length) expected = logits;
      engines.push({ name, threads, equal });
      onProgress?.('compare', engines.length, total);
    }
  return { engines, images: pixels.length, referenceImages };
}

async function runOn(engine: Engine, images: readonly Uint8Array[]): Promise<Int32Array[]> {
  try {
    return await engine.runAll(images);
  } finally {
    await engine.close();
  }
}

function isEqual(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

function enginesCheck({ engines, images, referenceImages }: Compared): Check {
  const others = engines.filter(({ equal }) => !equal).map(({ name, threads }) => `${name} (${threads})`);
  const compared = `${engines.length} engines on ${images} images, the reference on ${referenceImages} of them`;
  const detail = others.length === 0 ? `${compared}: the same bits` : `${compared}: ${others.join(', ')} differ`;
  return { name: 'same everywhere', passed: others.length === 0, detail };
}

async function compareWithFloat(file: string, asked: VerifyRequest): Promise<Verification['agreement']> {
  const { against, images, maxMemory, onNotice, signal } = asked;
  const model = await Model.load(file, { maxMemory });
  try {
    const request = { dataset: images!, float: against, onNotice, signal };
    const { evaluation: measured } = await evaluateRows(model, request, 'ignored');
    return { ...measured.float!, images: measured.images };
  } finally {
    await model.close();
  }
}

function agreementCheck(found: NonNullable<Verification['agreement']>, least = 0): Check {
  const { agreement, images, sqnrDb } = found;
  const name = 'agreement';
  if (agreement === null) {
    const detail = `SQNR ${decibels(sqnrDb)} dB on ${images} images; the model has no classes that could agree`;
    return { name, passed: least === 0, detail };
  }
  const share = (value: number) => `${(100 * value).toFixed(2)} %`;
  const detail = `${share(agreement)} of ${images} images are decided as the float model does`;
  const asked = least > 0 ? `; at least ${share(least)} are asked for` : '';
  return { name, passed: agreement >= least, detail: detail + asked };
}
