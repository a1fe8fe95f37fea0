/**
 * Class labels, one string per class in index order. A label may lead with its WordNet id, as ImageNet's lists do
 * (`n01440764 tench, Tinca tinca`): the id finds class folders, and is not shown.
 */
import { readFile } from 'node:fs/promises';
import { InputError } from '../errors.js';
import { readBeside } from './preprocess/beside.js';

const SYNSET = /^(n\d{8})\s+(\S.*)$/;

/** What to show of a label: without its WordNet id. */
export function labelText(label: string): string {
  return SYNSET.exec(label)?.[2] ?? label;
}

/** The WordNet id that leads a label, where there is one. */
export function labelSynset(label: string): string | undefined {
  return SYNSET.exec(label)?.[1];
}

/**
 * Finds classes by what users call them: the whole label, its text, its WordNet id, or the first of its synonyms; case
 * and the difference between space, underscore and hyphen do not count. A name that means several classes finds none.
 */
export function labelIndex(labels: readonly string[]): (name: string) => number | undefined {
  const byName = new Map<string, number | 'ambiguous'>();
  // A name of a higher rank hides the same name of a lower: 'crane' the label, before 'crane, crane bird' the synonym.
  const ranks = [
    (label: string) => [label, labelText(label), labelSynset(label)],
    (label: string) => [labelText(label).split(',')[0]],
  ];
  for (const namesOf of ranks) {
    const ofRank = new Map<string, number | 'ambiguous'>();
    labels.forEach((label, index) => {
      for (const name of new Set(namesOf(label).map((one) => one && canonical(one)))) {
        if (name) ofRank.set(name, ofRank.has(name) ? 'ambiguous' : index);
      }
    });
    for (const [name, index] of ofRank) if (!byName.has(name)) byName.set(name, index);
  }
  return (name) => {
    const index = byName.get(canonical(name));
    return index === 'ambiguous' ? undefined : index;
  };
}

function canonical(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replace(/[\s_-]+/g, ' ');
}

/**
 * The labels in a file: a text file with one per line, a JSON array, or a JSON object that is or holds an `id2label`.
 *
 * @throws InputError when there are none, or when their number is not `classCount`
 */
export async function readLabels(file: string, classCount?: number): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new InputError(
      `Cannot read the labels ${file}: ${error.code === 'ENOENT' ? 'no such file' : error.message}`,
      { cause: error },
    );
  });
  const labels = parseLabels(text.replace(/^\uFEFF/, ''), file);
  if (labels.length === 0) throw new InputError(`The labels file ${file} is empty`);
  if (classCount !== undefined && labels.length !== classCount) {
    throw new InputError(
      `The labels file ${file} has ${labels.length} labels, but the model has ${classCount} classes`,
    );
  }
  return labels;
}

/**
 * The `id2label` of the `config.json` beside a model, when it names as many classes as the model has; undefined where
 * there is none. A repository's placeholder names (LABEL_0, LABEL_1, …) count as none.
 */
export async function findLabels(modelPath: string, classCount: number): Promise<string[] | undefined> {
  const config = await readBeside(modelPath, 'config.json');
  const { id2label } = config?.content ?? {};
  if (config === undefined || typeof id2label !== 'object' || id2label === null) return undefined;
  const labels = fromIds(id2label as Record<string, unknown>, config.path);
  const arePlaceholders = labels.every((label, index) => label === `LABEL_${index}`);
  return labels.length === classCount && !arePlaceholders ? labels : undefined;
}

function parseLabels(text: string, file: string): string[] {
  if (!/^\s*[[{]/.test(text)) {
    const lines = text.split(/\r?\n/).map((line) => line.trim());
    while (lines.at(-1) === '') lines.pop();
    const empty = lines.indexOf('');
    if (empty >= 0) throw new InputError(`${file}, line ${empty + 1}: no label`);
    return lines;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError(`${file} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  if (!Array.isArray(value)) {
    const { id2label = value } = value as { id2label?: unknown };
    return fromIds(id2label as Record<string, unknown>, file);
  }
  const wrong = value.findIndex((label) => typeof label !== 'string' || label.trim() === '');
  if (wrong >= 0) throw new InputError(`${file}: the label of class ${wrong} is not a text`);
  return (value as string[]).map((label) => label.trim());
}

/** `{"0": "tench", "1": …}`: every index from 0 on must be there. */
function fromIds(id2label: Readonly<Record<string, unknown>>, file: string): string[] {
  return Array.from({ length: Object.keys(id2label).length }, (_, index) => {
    const label = id2label[index];
    if (typeof label === 'string' && label.trim() !== '') return label.trim();
    throw new InputError(`${file}: id2label has no label for class ${index}`);
  });
}
