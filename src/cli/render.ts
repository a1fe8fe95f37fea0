/** How results look on a terminal. */
export { bytes, large, milliseconds, percent, seconds, significant } from '../number-format.js';

/** Characters by which a text could steer the terminal, or turn the direction of what follows; line ends are let be. */

const CONTROLS = /[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

function escapeControls(text: string): string {
  return text.replace(CONTROLS, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** A label, a name or a path from elsewhere, as it may be shown: in one line, control characters escaped. */
export function oneLine(text: string): string {
  return escapeControls(text.replaceAll('\n', '\\n'));
}

/** One JSON document on standard output, and nothing else. */
export function printJson(value: unknown): void {
  process.stdout.write(`${escapeControls(JSON.stringify(value, null, 2))}\n`);
}

export function print(...lines: string[]): void {
  process.stdout.write(`${escapeControls(lines.join('\n'))}\n`);
}

const told: string[] = [];

/** Every note and warning so far: reports in JSON hold them too. */
export function warningsTold(): readonly string[] {
  return [...told];
}

/** Something the user should know, apart from the result. */
export function notice(text: string): void {
  const warning = /^WARNING: (.*)$/s.exec(text)?.[1];
  if (warning === undefined) tell('note', text);
  else warn(warning);
}

export function warn(text: string): void {
  tell('warning', text);
}

function tell(kind: string, text: string): void {
  told.push(text);
  process.stderr.write(`${kind}: ${oneLine(text)}\n`);
}

/** Name and value, one pair a line, values aligned. */
export function pairs(rows: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${oneLine(value)}`).join('\n');
}
