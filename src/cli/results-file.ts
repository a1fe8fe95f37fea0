/** One table of the figures of many models, a line each, to which every run appends. */
import * as fs from 'node:fs';
import { InputError } from '../errors.js';
import type { Evaluation } from '../api/evaluation.js';
import type { PartHeader } from '../api/part-file.js';
import { csvField } from './evaluation.js';

type Cell = string | number | null | undefined;

interface Subject {
  readonly file: string;
  readonly header: PartHeader;
}

const COLUMNS: Readonly<Record<string, (evaluation: Evaluation, subject: Subject) => Cell>> = {
  model: (_, { file }) => file,
  hash: (_, { header }) => header.model.hash,
  dataset: (_, { header }) => header.dataset.source,
  images: ({ images }) => images,
  skipped: ({ skipped }) => skipped.length,
  top1: ({ top1 }) => top1,
  top1_low: ({ top1Interval }) => top1Interval?.[0],
  top1_high: ({ top1Interval }) => top1Interval?.[1],
  top5: ({ top5 }) => top5,
  map: ({ meanAveragePrecision }) => meanAveragePrecision,
  ece: ({ ece }) => ece,
  float_top1: ({ float }) => float?.top1,
  agreement: ({ float }) => float?.agreement,
  agreement_low: ({ float }) => float?.agreementInterval?.[0],
  agreement_high: ({ float }) => float?.agreementInterval?.[1],
  kl: ({ float }) => float?.kl,
  kl_p50: ({ float }) => float?.klQuantiles?.p50,
  kl_p90: ({ float }) => float?.klQuantiles?.p90,
  kl_p99: ({ float }) => float?.klQuantiles?.p99,
  sqnr_db: ({ float }) => float?.sqnrDb,
  images_per_second: ({ imagesPerSecond }) => imagesPerSecond,
  latency_p50_ms: ({ latencyMs }) => latencyMs?.p50,
};
const HEADER = Object.keys(COLUMNS).join(',');

/**
 * Appends a line; the header too where the file is new. Lines are written as a whole, by one call that appends: runs
 * at the same time do not mix theirs.
 *
 * @throws InputError where the file cannot be written, or has other columns
 */
export function appendResult(results: string, evaluation: Evaluation, subject: Subject): void {
  const cells = Object.values(COLUMNS).map((cell) => csvField(String(cell(evaluation, subject) ?? '')));
  try {
    if (!append(results, 'ax', `${HEADER}\n${cells.join(',')}\n`)) {
      requireHeader(results);
      append(results, 'a', `${cells.join(',')}\n`);
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`Cannot write ${results}: ${(error as Error).message}`, { cause: error });
  }
}

/** @returns false where the file is there, and `flag` wants a new one */
function append(file: string, flag: 'a' | 'ax', text: string): boolean {
  let handle: number;
  try {
    handle = fs.openSync(file, flag);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  try {
    const bytes = Buffer.from(text);
    const written = fs.writeSync(handle, bytes);
    if (written < bytes.length) throw new InputError(`Cannot write ${file}: no space left for its next line`);
    return true;
  } finally {
    fs.closeSync(handle);
  }
}

/** @throws InputError where an existing file is another table; nothing where there is none */
export function requireHeader(file: string): void {
  if (!fs.existsSync(file)) return;
  const start = Buffer.alloc(HEADER.length + 1);
  const handle = fs.openSync(file, 'r');
  try {
    const read = fs.readSync(handle, start);
    if (read > 0 && start.toString('latin1') !== `${HEADER}\n`)
      throw new InputError(`${file} is there already and is no table of results of this version: choose another name`);
  } finally {
    fs.closeSync(handle);
  }
}
