/** Text files of one entry a line. */
import { readTextFile } from '../text-file.js';

/** The lines of a text file that hold anything, trimmed, with their numbers from 1. */
export async function readLines(file: string): Promise<{ text: string; line: number }[]> {
  const lines = (await readTextFile(file)).split(/\r\n|\r|\n/);
  return lines.map((content, i) => ({ text: content.trim(), line: i + 1 })).filter((one) => one.text !== '');
}

/** All ways to split a line in two at a space, comma, semicolon or tab. */
export function splitsOf(text: string): { path: string; label: string }[] {
  return [...text.matchAll(/[\s,;]+/g)].map(({ 0: separator, index }) => ({
    path: text.slice(0, index),
    label: text.slice(index + separator.length),
  }));
}
