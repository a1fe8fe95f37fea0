/** Puts the parts of an evaluation together. */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { InputError, withCode } from '../errors.js';
import { chosenIndices } from './evaluate.js';
import { Evaluator } from './evaluation.js';
import type { Evaluation } from './evaluation.js';
import { headerDifference, openPart, partialName } from './part-file.js';
import type { Part, PartHeader, Row } from './part-file.js';

export interface MergeRequest {
  readonly onNotice?: (notice: string) => void;
  /** Called with what was found on each image, in the dataset's order. */
  readonly onRow?: (row: Row) => void;
}

export interface MergedEvaluation {
  readonly evaluation: Evaluation;
  /** @internal */
  readonly evaluator: Evaluator;
  /** What the parts are of. */
  readonly header: PartHeader;
  /** The parts that were read. */
  readonly files: readonly string[];
  /** How many images lie in several parts; they count once. */
  readonly overlapping: number;
}

/** How many missing shards are named. */
const SHOWN = 20;

/**
 * The evaluation of all parts together: the same figures, on every digit, as of one run over all images, but for times.
 * Images in several parts count once; their integer outputs must be the same.
 *
 * @param sources parts, or folders of them
 * @throws InputError where a part is of another model, dataset or settings, is not whole, or one is missing
 */
export async function mergeEvaluations(
  sources: readonly string[],
  request: MergeRequest = {},
): Promise<MergedEvaluation> {
  return withCode('BAD_FILE', merge(sources, request));
}

async function merge(sources: readonly string[], { onNotice, onRow }: MergeRequest): Promise<MergedEvaluation> {
  const files = filesOf(sources, onNotice);
  const parts: Part[] = [];
  try {
    for (const file of files) parts.push(await openPart(file));
    const [first] = parts as [Part];
    for (const { file, header } of parts.slice(1)) {
      const difference = headerDifference(header, first.header);
      if (difference !== null)
        throw new InputError(`${file} is ${difference}; ${first.file} is not: give the parts of one evaluation`);
    }
    const evaluator = new Evaluator(first.header);
    const merger = new Merger(parts);
    const expected = chosenIndices(first.header.dataset.images, first.header.settings.limit, { index: 1, count: 1 });
    const missing = new Set(expected);
    for await (const row of merger.rows()) {
      missing.delete(row.index);
      evaluator.add(row);
      onRow?.(row);
    }
    if (missing.size > 0) throw missingShards(missing, parts);
    const runtimes = [...new Set(parts.flatMap(({ header }) => header.float?.runtime ?? []))];
    if (runtimes.length > 1)
      onNotice?.(`The float model was run by ${runtimes.join(' and ')}: their digits may differ.`);
    const evaluation = evaluator.result(runtimes.join(', '), merger.timing);
    const { images, skipped } = evaluation;
    if (images === 0)
      throw new InputError(`No usable image in ${files.join(', ')}: ${skipped[0]?.reason ?? 'all are empty'}`);
    evaluator.notices(evaluation).forEach((notice) => onNotice?.(notice));
    return { evaluation, evaluator, header: first.header, files, overlapping: merger.overlapping };
  } finally {
    for (const part of parts) await part.close();
  }
}

/** Parts as named, and all of the folders; what a killed run left is told of. */
function filesOf(sources: readonly string[], onNotice: MergeRequest['onNotice']): string[] {
  const files = sources.flatMap((source) => {
    if (!statSync(source, { throwIfNoEntry: false })?.isDirectory()) return [source];
    const names = readdirSync(source).sort();
    const parts = names.filter((name) => name.endsWith('.jsonl'));
    for (const left of names.filter(
      (name) => name.endsWith(partialName('.jsonl')) && !parts.includes(path.parse(name).name),
    ))
      onNotice?.(`${path.join(source, left)} is of a run that has not ended: it does not count.`);
    if (parts.length === 0) throw new InputError(`${source} holds no parts of an evaluation (.jsonl)`);
    return parts.map((name) => path.join(source, name));
  });
  return [...new Set(files)];
}

/** Rows of all parts in the order of their indices: each part is in order, and read a row at a time. */
class Merger {
  overlapping = 0;
  private timed = 0;
  private seconds = 0;

  constructor(private readonly parts: readonly Part[]) {}

  get timing(): { timed: number; seconds: number } {
    return { timed: this.timed, seconds: this.seconds };
  }

  async *rows(): AsyncGenerator<Row> {
    const heads: { part: Part; row: Row }[] = [];
    const advance = async (part: Part): Promise<void> => {
      const step = await part.rows.next();
      if (step.done !== true) heads.push({ part, row: step.value });
      else {
        this.timed += step.value.timed;
        this.seconds += step.value.seconds;
      }
    };
    for (const part of this.parts) await advance(part);
    while (heads.length > 0) {
      const index = heads.reduce((least, { row }) => Math.min(least, row.index), Infinity);
      const same = heads.filter(({ row }) => row.index === index);
      // Of several the first named counts, whatever order they came in.
      same.sort((a, b) => this.parts.indexOf(a.part) - this.parts.indexOf(b.part));
      const [first, ...others] = same as [{ part: Part; row: Row }];
      for (const other of others) requireSame(first, other);
      if (others.length > 0) this.overlapping++;
      yield first.row;
      for (const one of same) heads.splice(heads.indexOf(one), 1);
      for (const { part } of same) await advance(part);
    }
  }
}

/** @throws InputError where two parts found different integers for an image */
function requireSame(a: { part: Part; row: Row }, b: { part: Part; row: Row }): void {
  const found = ({ row }: { row: Row }) => ('skipped' in row ? 'skipped' : row.digest);
  if (found(a) === found(b)) return;
  throw new InputError(
    `${a.part.file} and ${b.part.file} disagree about image ${a.row.index}, ${a.row.path}: its integer outputs are ` +
      `${found(a)} and ${found(b)}. The same model gives the same integers everywhere: the images differ, ` +
      'or a file is damaged',
  );
}

function missingShards(missing: ReadonlySet<number>, parts: readonly Part[]): InputError {
  const { dataset, settings } = parts[0]!.header;
  // Named by the split that most parts are of.
  const counts = parts.map(({ header }) => header.shard.count);
  const often = (count: number) => counts.filter((one) => one === count).length;
  const count = counts.reduce((best, one) => (often(one) > often(best) ? one : best));
  const shards = Array.from({ length: count }, (_, i) => i + 1).filter((index) =>
    chosenIndices(dataset.images, settings.limit, { index, count }).some((image) => missing.has(image)),
  );
  const named = shards.slice(0, SHOWN).map((index) => `${index}/${count}`);
  const more = shards.length > SHOWN ? `, … (${shards.length} in all)` : '';
  const subject = shards.length === 1 ? `shard ${named[0]} is` : `shards ${named.join(', ')}${more} are`;
  return new InputError(
    `${missing.size} images are in no part: ${subject} missing. Run ivit eval … --shard ${named[0]} --out FILE`,
  );
}
