/** What the terminal, or the pipe, that is written to can show. */
import { styleText } from 'node:util';
import { Help } from 'commander';

type Stream = NodeJS.WriteStream;

/** Columns of what is no terminal, and of one that does not say. */
const WIDTH = 80;

export function widthOf(stream: Stream): number {
  return stream.isTTY && stream.columns > 0 ? stream.columns : WIDTH;
}

/** NO_COLOR and FORCE_COLOR win over what the terminal says of itself. */
function hasStyles(stream: Stream): boolean {
  const { NO_COLOR, FORCE_COLOR } = process.env;
  if (NO_COLOR) return false;
  if (FORCE_COLOR) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  return stream.isTTY && stream.hasColors();
}

/** @returns the text in bold or dim letters, where they can be shown */
export function styled(style: 'bold' | 'dim', text: string, stream: Stream = process.stdout): string {
  return hasStyles(stream) ? styleText(style, text) : text;
}

const help = Object.assign(new Help(), { minWidthToWrap: 1 });

/** Breaks lines at words; what goes on is indented. Words that are too long, such as paths, stay whole. */
export function wrap(text: string, width: number, indent: number): string[] {
  const [first, ...rest] = help.boxWrap(text, width).split('\n');
  if (rest.length === 0) return [first];
  const others = help.boxWrap(text.slice(first.length).trimStart(), width - indent).split('\n');
  return [first, ...others.map((line) => ' '.repeat(indent) + line)];
}
