/** How results look on a terminal. */
import { styled, widthOf, wrap } from './terminal.js';

export { someOf } from '../names.js';
export { bytes, decibels, large, milliseconds, percent, seconds, significant } from '../number-format.js';

/**
 * Characters by which a text could steer the terminal, turn the direction of what follows, or hide that it is another
 * text: they take no place. Line ends are let be, and joiners where they may join, beside letters that are not ASCII.
 */
const CONTROLS = new RegExp(
  [
    '[\\0-\\x09\\x0b-\\x1f\\x7f-\\x9f]',
    '[\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u206f]',
    '[\\u00ad\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b\\u2060-\\u2065\\u3164\\ufeff\\uffa0]',
    '(?:^|(?<=[\\0-\\x7f]))[\\u200c\\u200d]',
    '[\\u200c\\u200d](?=$|[\\0-\\x7f])',
    '\\udb40[\\udc00-\\udc7f]', // tags
  ].join('|'),
  'g',
);
/** Bold, dim, and the end of either: what this program writes itself. */
const STYLES = /(\x1b\[(?:1|2|22)m)/;

function escapeControls(text: string): string {
  const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return text.replace(CONTROLS, (found) => found.split('').map(escaped).join(''));
}

/** A label, a name or a path from elsewhere, as it may be shown: in one line, control characters escaped. */
export function oneLine(text: string): string {
  return escapeControls(text.replaceAll('\n', '\\n'));
}

/** One JSON document on standard output, and nothing else. */
export function printJson(value: unknown): void {
  process.stdout.write(`${escapeControls(JSON.stringify(value, null, 2))}\n`);
}

/** Lines of prose go on below where they are too long, indented; blocks of several lines stay as they are. */
export function print(...parts: string[]): void {
  const width = widthOf(process.stdout);
  printLines(parts.flatMap((part) => (part.includes('\n') ? [part] : wrap(part, width, indentOf(part) + 2))));
}

const indentOf = (line: string): number => line.length - line.trimStart().length;

/** Lines as they are: tables, which fit, and what other programs read. */
export function printLines(lines: readonly string[]): void {
  const parts = lines.join('\n').split(STYLES);
  process.stdout.write(`${parts.map((part) => (STYLES.test(part) ? part : escapeControls(part))).join('')}\n`);
}

/** A command that can be copied into a shell, on several lines where it is long. */
export function printCommand(title: string, command: string): void {
  const lines = wrap(command, widthOf(process.stdout) - 4, 2);
  printLines(['', styled('bold', title), `  ${lines.join(' \\\n  ')}`]);
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
  complain(kind, text);
}

/** One message on standard error, its kind in front. */
export function complain(kind: string, text: string): void {
  const [first, ...rest] = wrap(`${kind}: ${oneLine(text)}`, widthOf(process.stderr), 2);
  const style = kind === 'note' ? 'dim' : 'bold';
  const label = first.slice(0, kind.length + 1);
  const lines = [styled(style, label, process.stderr) + first.slice(label.length), ...rest];
  process.stderr.write(`${lines.join('\n')}\n`);
}

/** Name and value, one pair a line, values aligned and wrapped. */
export function pairs(rows: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  const room = widthOf(process.stdout) - width - 4;
  return rows
    .flatMap(([name, value]) =>
      wrap(oneLine(value), room, 0).map((line, i) => `  ${(i === 0 ? name : '').padEnd(width)}  ${line}`),
    )
    .join('\n');
}
