/** How results look on a terminal. */

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

export function percent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`;
}

export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, count)) / 3)));
  const value = count / 1000 ** power;
  return `${power === 0 ? value : value.toFixed(value < 100 ? 1 : 0)} ${units[power]}`;
}

/** 5717416 → `5.7 M`. */
export function large(count: number): string {
  if (count < 1e3) return String(count);
  const [power, unit] = count < 1e6 ? [1e3, 'k'] : count < 1e9 ? [1e6, 'M'] : [1e9, 'G'];
  const value = count / (power as number);
  return `${value.toFixed(value < 100 ? 1 : 0)} ${unit}`;
}

export function seconds(value: number): string {
  if (value < 60) return `${value.toFixed(1)} s`;
  return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}

export function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 1)} ms`;
}

/** The most telling digits of a small number. */
export function significant(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : '∞';
}
