/** Lists of class names, in the forms in which they are passed around. */
import { parse as parseYaml } from 'yaml';
import { InputError } from '../errors.js';
import { readTextFile } from './text-file.js';

/** Keys under which configuration files keep class names. */
const HOLDERS = ['id2label', 'label2id', 'class_to_idx', 'label_names', 'names', 'classes', 'categories', 'labels'];

/**
 * The labels in a file, in class order:
 * - one per line; with an index in front (`10: name`, `10 name`, `10,name`) or behind, the index counts;
 * - JSON, YAML or the text of a Python dict or list: names, `{index: name}`, `{name: index}`, `{index: [WordNet id,
 *   name]}`,
 *   `[{id, name}]`, or an object that holds one of these as `id2label`, `class_to_idx`, `names` and the like.
 *
 * A WordNet id is kept in front of its name.
 *
 * @throws InputError when there are none, or when their number is not `classCount`
 */
export async function readLabels(file: string, classCount?: number): Promise<string[]> {
  const text = await readTextFile(file);
  const labels = /^\s*[[{]/.test(text) || /\.ya?ml$/i.test(file) ? fromStructure(text, file) : fromLines(text, file);
  if (labels.length === 0) throw new InputError(`The labels file ${file} is empty: write a class on each line`);
  if (classCount !== undefined && labels.length !== classCount) {
    throw new InputError(
      `The labels file ${file} has ${labels.length} labels, but the model has ${classCount} classes: give one for ` +
        'each, in their order',
    );
  }
  return labels;
}

function fromLines(text: string, file: string): string[] {
  const lines = text.split(/\r\n|\r|\n/).map((line) => line.trim());
  while (lines.at(-1) === '') lines.pop();
  const named = lines.filter((line) => line !== '');
  const indexed = fromIndexedLines(named) ?? fromIndexedLines(named.slice(1)) ?? fromNumberedLines(named);
  if (indexed !== undefined) return indexed;
  const empty = lines.indexOf('');
  if (empty >= 0) throw new InputError(`${file}, line ${empty + 1}: no label; write a class on each line, in order`);
  return lines.map(unquoted);
}

/** Where every line has an index, and these are 0, 1, … in any order; else undefined. */
function fromIndexedLines(lines: readonly string[]): string[] | undefined {
  for (const [pattern, index, name] of INDEXED) {
    const labels: string[] = [];
    let count = 0;
    for (const line of lines) {
      const match = pattern.exec(line);
      if (match === null) break;
      const at = Number(match[index]);
      if (at >= lines.length || labels[at] !== undefined) break;
      labels[at] = unquoted(match[name]);
      count++;
    }
    // "digit 0", "digit 1" are names that end in a number.
    const areNames = index < name || new Set(labels).size === labels.length;
    if (count > 0 && count === lines.length && areNames) return labels;
  }
  return undefined;
}

/** A numbered list, `1. cat`, `2) dog`: its numbers are no part of the names. */
function fromNumberedLines(lines: readonly string[]): string[] | undefined {
  const match = lines.map((line) => /^\(?(\d+)[.)]\s+(\S.*)$/.exec(line));
  const first = Number(match[0]?.[1]);
  const isNumbered = first <= 1 && match.every((one, i) => one !== null && Number(one[1]) === first + i);
  return isNumbered ? match.map((one) => unquoted(one![2])) : undefined;
}

/** Pattern, and which of its groups are index and name. */
const INDEXED: readonly (readonly [RegExp, number, number])[] = [
  [/^["']?(\d+)["']?\s*[:=,;\t ]\s*(\S.*?),?$/, 1, 2],
  [/^(\S.*?)\s*[:=,;\t ]\s*["']?(\d+)["']?,?$/, 2, 1],
];

function unquoted(text: string): string {
  return /^"(.+)"$|^'(.+)'$/.test(text) ? text.slice(1, -1).trim() : text;
}

function fromStructure(text: string, file: string): string[] {
  let value: unknown;
  try {
    value = parseJson(text) ?? parseYaml(text, { maxAliasCount: 0, logLevel: 'error' });
  } catch (error) {
    const [reason] = (error as Error).message.split('\n');
    throw new InputError(`${file} is neither JSON nor YAML: ${reason}. A class on each line does too`, {
      cause: error,
    });
  }
  return labelsOf(value, file);
}

/** Undefined for what is not JSON: a Python dict or list is YAML, and so is nearly all JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Labels out of any of the structures that `readLabels` names. */
export function labelsOf(value: unknown, file: string): string[] {
  if (Array.isArray(value)) return fromArray(value, file);
  if (typeof value !== 'object' || value === null)
    throw new InputError(`${file} holds no list of labels: write a class on each line, in order`);
  const object = value as Readonly<Record<string, unknown>>;
  const holder = HOLDERS.find((key) => typeof object[key] === 'object' && object[key] !== null);
  if (holder !== undefined) return labelsOf(object[holder], file);
  const entries = Object.entries(object);
  const isIndex = (one: unknown) => /^\d+$/.test(String(one));
  const areNamesFirst = entries.length > 0 && entries.every(([, index]) => Number.isSafeInteger(index));
  if (areNamesFirst && !entries.every(([name]) => isIndex(name)))
    return fromIds(Object.fromEntries(entries.map(([name, index]) => [index as number, name])), entries.length, file);
  if (entries.length > 0 && !entries.some(([index]) => isIndex(index))) {
    throw new InputError(
      `${file} holds no list of labels: expected names, {index: name} or {name: index}, or one of ` +
        `${HOLDERS.join(', ')}`,
    );
  }
  return fromIds(object, entries.length, file);
}

function fromArray(list: readonly unknown[], file: string): string[] {
  const ids = list.map(idOf);
  if (list.length > 0 && ids.every((id) => id !== undefined)) {
    const byId = Object.fromEntries(list.map((one, i) => [ids[i], nameOf(one)]));
    return fromIds(byId, list.length, file);
  }
  return list.map((one, index) => {
    const label = nameOf(one);
    if (label === undefined) throw new InputError(`${file}: the label of class ${index} is not a text: give its name`);
    return label;
  });
}

function idOf(one: unknown): number | undefined {
  if (typeof one !== 'object' || one === null) return undefined;
  const { id, index } = one as { id?: unknown; index?: unknown };
  return [id, index].find((value) => Number.isSafeInteger(value)) as number | undefined;
}

/** A name, `[WordNet id, name]`, or an object with a name. */
function nameOf(one: unknown): string | undefined {
  if (typeof one === 'string') return one.trim() === '' ? undefined : one.trim();
  if (Array.isArray(one)) {
    const isText = one.length > 0 && one.every((part) => typeof part === 'string');
    return isText ? one.join(' ').trim() || undefined : undefined;
  }
  if (typeof one !== 'object' || one === null) return undefined;
  const { name, label } = one as { name?: unknown; label?: unknown };
  return nameOf(name ?? label ?? null);
}

/** `{"0": "tench", "1": …}`: every index from 0 on must be there. */
function fromIds(id2label: Readonly<Record<string, unknown>>, count: number, file: string): string[] {
  return Array.from({ length: count }, (_, index) => {
    const label = nameOf(id2label[index]);
    if (label !== undefined) return label;
    throw new InputError(`${file}: no label for class ${index}, and each from 0 to ${count - 1} must have one`);
  });
}
