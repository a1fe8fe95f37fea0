/** Puts the parts of an evaluation together. */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { InputError, withCode } from '../errors.js';
import { Evaluator } from './evaluation.js';
import type { Evaluation } from './evaluation.js';
import { chosenBy, headerDifference } from './part-file.js';
import type { PartEnd, PartHeader, Row } from './part-file.js';
import { openPart } from './part-reader.js';
import type { Part } from './part-reader.js';
import { partialName } from './partial-file.js';
import { shardsOf } from './shard.js';

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
  for (const file of files) {
    const part = await openPart(file);
    const difference = headerDifference(part.header, parts[0]?.header ?? part.header);
    if (difference !== null)
      throw new InputError(`${file} is ${difference}; ${parts[0]!.file} is not: give the parts of one evaluation`);
    parts.push(part);
  }
  const { header } = parts[0]!;
  const evaluator = new Evaluator(header);
  const merger = new Merger(parts);
  const missing = new Set(chosenBy({ ...header, shard: { index: 1, count: 1 } }));
  for await (const row of merger.rows()) {
    missing.delete(row.index);
    evaluator.add(row);
    onRow?.(row);
  }
  if (missing.size > 0) throw missingShards(missing, parts);
  tellDifferences(parts, onNotice);
  const runtimes = distinct(parts, ({ float }) => float?.runtime);
  const evaluation = evaluator.result(runtimes.join(', '), merger.timing);
  const { images, skipped } = evaluation;
  if (images === 0)
    throw new InputError(`No usable image in ${files.join(', ')}: ${skipped[0]?.reason ?? 'all are empty'}`);
  evaluator.notices(evaluation).forEach((notice) => onNotice?.(notice));
  return { evaluation, evaluator, header, files, overlapping: merger.overlapping };
}

const distinct = (parts: readonly Part[], of: (header: PartHeader) => string | undefined): string[] => [
  ...new Set(parts.flatMap(({ header }) => of(header) ?? [])),
];

/** What parts may differ in, and should not. */
function tellDifferences(parts: readonly Part[], onNotice: MergeRequest['onNotice']): void {
  const runtimes = distinct(parts, ({ float }) => float?.runtime);
  if (runtimes.length > 1) onNotice?.(`The float model was run by ${runtimes.join(' and ')}: their digits may differ.`);
  const tools = distinct(parts, ({ tool }) => tool);
  if (tools.length > 1) onNotice?.(`The parts are of ${tools.join(' and ')}: versions may read images in other ways.`);
}

/** Parts as named, and all of the folders and theirs; what a killed run left is told of. */
function filesOf(sources: readonly string[], onNotice: MergeRequest['onNotice']): string[] {
  const files = sources.flatMap((source) => {
    if (!statSync(source, { throwIfNoEntry: false })?.isDirectory()) return [source];
    const names = readdirSync(source, { recursive: true, encoding: 'utf8' }).sort();
    const parts = names.filter((name) => name.endsWith('.jsonl'));
    const whole = new Set(parts.map(partialName));
    for (const left of names.filter((name) => name.endsWith(partialName('.jsonl')) && !whole.has(name)))
      onNotice?.(`${path.join(source, left)} is of a run that has not ended: it does not count.`);
    if (parts.length === 0) throw new InputError(`${source} holds no parts of an evaluation (.jsonl)`);
    return parts.map((name) => path.join(source, name));
  });
  return [...new Set(files.map((file) => path.normalize(file)))];
}

/** A part that is being read, and the row that it is at. */
interface Head {
  /** Its place among those that were named. */
  readonly place: number;
  readonly file: string;
  readonly rows: AsyncGenerator<Row, PartEnd>;
  row: Row;
}

/**
 * Rows of all parts in the order of their indices. Each part is in order, and is open only while its images are in
 * turn: of a thousand shards one or two at a time.
 */
class Merger {
  overlapping = 0;
  private timed = 0;
  private seconds = 0;
  /** Parts that are not open yet, with their first image: the first to be opened stands last. */
  private readonly waiting: { readonly place: number; readonly part: Part; readonly first: number }[];

  constructor(parts: readonly Part[]) {
    // Those without images have an end to be read too.
    const firstOf = ({ header }: Part): number => chosenBy(header)[0] ?? -1;
    this.waiting = parts
      .map((part, place) => ({ place, part, first: firstOf(part) }))
      .sort((a, b) => b.first - a.first || b.place - a.place);
  }

  get timing(): { timed: number; seconds: number } {
    return { timed: this.timed, seconds: this.seconds };
  }

  async *rows(): AsyncGenerator<Row> {
    let heads: Head[] = [];
    try {
      for (;;) {
        heads = await this.withNext(heads);
        if (heads.length === 0) return;
        const index = leastIndex(heads);
        // Of several the first named counts.
        const [first, ...others] = heads.filter(({ row }) => row.index === index) as [Head];
        for (const other of others) requireSame(first, other);
        if (others.length > 0) this.overlapping++;
        yield first.row;
        for (const head of [first, ...others])
          if (!(await this.advance(head))) heads = heads.filter((other) => other !== head);
      }
    } finally {
      for (const { rows } of heads) await rows.return(undefined as never);
    }
  }

  /** The open parts, and those that have rows up to where these are; in the order in which they were named. */
  private async withNext(open: readonly Head[]): Promise<Head[]> {
    const heads = [...open];
    for (let next = this.waiting.at(-1); next !== undefined; next = this.waiting.at(-1)) {
      if (heads.length > 0 && next.first > leastIndex(heads)) break;
      this.waiting.pop();
      const head = { place: next.place, file: next.part.file, rows: next.part.rows() } as Head;
      if (await this.advance(head)) heads.push(head);
    }
    return heads.length === open.length ? heads : heads.sort((a, b) => a.place - b.place);
  }

  /** @returns false at the part's end */
  private async advance(head: Head): Promise<boolean> {
    const step = await head.rows.next();
    if (step.done !== true) {
      head.row = step.value;
      return true;
    }
    this.timed += step.value.timed;
    this.seconds += step.value.seconds;
    return false;
  }
}

const leastIndex = (heads: readonly Head[]): number =>
  heads.reduce((least, { row }) => Math.min(least, row.index), Infinity);

/** @throws InputError where two parts found different integers for an image */
function requireSame(a: Head, b: Head): void {
  const found = ({ row }: Head) => ('skipped' in row ? 'skipped' : row.digest);
  if (found(a) === found(b)) return;
  throw new InputError(
    `${a.file} and ${b.file} disagree about image ${a.row.index}, ${a.row.path}: its integer outputs are ` +
      `${found(a)} and ${found(b)}. The same model gives the same integers everywhere: the images differ, ` +
      'or a file is damaged',
  );
}

function missingShards(missing: ReadonlySet<number>, parts: readonly Part[]): InputError {
  const { dataset, settings } = parts[0]!.header;
  // Named by the split that most parts are of.
  const often = new Map<number, number>();
  for (const { header } of parts) often.set(header.shard.count, (often.get(header.shard.count) ?? 0) + 1);
  const [[count]] = [...often].sort((a, b) => b[1] - a[1]) as [[number, number]];
  const shards = shardsOf({ items: dataset.images, limit: settings.limit }, count, missing);
  const named = shards.slice(0, SHOWN).map((index) => `${index}/${count}`);
  const more = shards.length > SHOWN ? `, … (${shards.length} in all)` : '';
  const images = missing.size === 1 ? '1 image is' : `${missing.size} images are`;
  const subject = shards.length === 1 ? `shard ${named[0]} is` : `shards ${named.join(', ')}${more} are`;
  return new InputError(`${images} in no part: ${subject} missing. Run ivit eval … --shard ${named[0]} --out FILE`);
}
