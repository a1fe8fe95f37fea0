/** What to do about a file that is not there. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { editDistance } from './metrics/edit-distance.js';

/** Letters to change, of those of a name without its ending, up to which another name is meant. */
const FAR = 0.4;

/** `; did you mean photos/cat.jpg?` where the folder has a name of the same ending that is nearly the same. */
export function nearFile(file: string): string {
  if (/^\w+:\/\//.test(file)) return '; addresses are not read: download it first';
  const { dir, name, ext } = path.parse(file.toLowerCase());
  const distance = (other: string): number => {
    const parsed = path.parse(other.toLowerCase());
    const isOfThisKind = parsed.ext === ext || (ext === '' && parsed.name === name);
    return isOfThisKind ? editDistance(name, parsed.name) : Infinity;
  };
  const [nearest] = namesIn(path.dirname(file))
    .map((other) => ({ other, letters: distance(other) }))
    .filter(({ letters }) => letters <= FAR * name.length)
    .sort((a, b) => a.letters - b.letters);
  return nearest === undefined ? '' : `; did you mean ${dir === '' ? '' : `${path.dirname(file)}/`}${nearest.other}?`;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
