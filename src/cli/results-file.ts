/** One table of the figures of many models, a line each, to which every run appends. */
import * as fs from 'node:fs';
import path from 'node:path';
import { InputError } from '../errors.js';
import type { Evaluation } from '../api/evaluation.js';
import type { PartHeader } from '../api/part-file.js';
import { csvLine } from '../csv.js';
import { hiddenName, writeWhole } from '../program/file.js';
import type { Cells } from './format.js';

/** A model's figures, and where they come from. */
export interface Result {
  readonly evaluation: Evaluation;
  readonly file: string;
  readonly header: PartHeader;
}

export const RESULT_CELLS: Cells<Result> = {
  model: ({ file }) => file,
  hash: ({ header }) => header.model.hash,
  dataset: ({ header }) => header.dataset.source,
  images: ({ evaluation: { images } }) => images,
  skipped: ({ evaluation: { skipped } }) => skipped.length,
  top1: ({ evaluation: { top1 } }) => top1,
  top1_low: ({ evaluation: { top1Interval } }) => top1Interval?.[0],
  top1_high: ({ evaluation: { top1Interval } }) => top1Interval?.[1],
  top5: ({ evaluation: { top5 } }) => top5,
  map: ({ evaluation: { meanAveragePrecision } }) => meanAveragePrecision,
  ece: ({ evaluation: { ece } }) => ece,
  float_top1: ({ evaluation: { float } }) => float?.top1,
  agreement: ({ evaluation: { float } }) => float?.agreement,
  agreement_low: ({ evaluation: { float } }) => float?.agreementInterval?.[0],
  agreement_high: ({ evaluation: { float } }) => float?.agreementInterval?.[1],
  kl: ({ evaluation: { float } }) => float?.kl,
  kl_p50: ({ evaluation: { float } }) => float?.klQuantiles?.p50,
  kl_p90: ({ evaluation: { float } }) => float?.klQuantiles?.p90,
  kl_p99: ({ evaluation: { float } }) => float?.klQuantiles?.p99,
  sqnr_db: ({ evaluation: { float } }) => float?.sqnrDb,
  images_per_second: ({ evaluation: { imagesPerSecond } }) => imagesPerSecond,
  latency_p50_ms: ({ evaluation: { latencyMs } }) => latencyMs?.p50,
};
const HEADER = csvLine(Object.keys(RESULT_CELLS));

/**
 * Appends a line; the header too where the file is new. Lines are written as a whole, by one call that appends, and a
 * new file has its header from the start: runs at the same time do not mix theirs.
 *
 * @throws InputError where the file cannot be written, or has other columns
 */
export function appendResult(results: string, result: Result): void {
  const line = csvLine(Object.values(RESULT_CELLS).map((cell) => cell(result)));
  try {
    if (!fs.existsSync(results)) createTable(results);
    requireHeader(results);
    const isEmpty = fs.statSync(results).size === 0; // the user made it so
    append(results, isEmpty ? `${HEADER}\n${line}\n` : `${line}\n`);
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`Cannot write ${results}: ${(error as Error).message}`, { cause: error });
  }
}

/** Makes a table of no lines, unless another run has: under its own name it appears whole. */
function createTable(file: string): void {
  const own = path.join(path.dirname(file), hiddenName(file));
  try {
    writeWhole(own, Buffer.from(`${HEADER}\n`));
    fs.linkSync(own, file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    // Some file systems have no links.
    if (!['EPERM', 'ENOTSUP', 'ENOSYS'].includes(code ?? '')) throw error;
    append(file, `${HEADER}\n`);
  } finally {
    fs.rmSync(own, { force: true });
  }
}

function append(file: string, text: string): void {
  const handle = fs.openSync(file, 'a');
  try {
    const bytes = Buffer.from(text);
    const written = fs.writeSync(handle, bytes);
    if (written < bytes.length)
      throw new InputError(`Cannot write ${file}: no space left for its next line; free some, or name another`);
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
