/** JSON from an untrusted file: a name may stand once in an object, and nesting ends somewhere. */
import { MAX_JSON_DEPTH } from './limits.js';

/**
 * Parses JSON that says everything once: other readers might take the first of two equal names where this one takes
 * the last.
 *
 * @throws SyntaxError where the text is not JSON, gives a name twice in one object, or is nested too deep
 */
export function parseJsonOnce(text: string): unknown {
  const value: unknown = JSON.parse(text);
  checkNames(text);
  return value;
}

/** What is wrong, in words of our own: those of the JSON parser quote the text. */
export function jsonError(error: unknown): string {
  const { message } = error as Error;
  return message.startsWith('it ') ? message : 'it is not JSON';
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Walks over the brackets and strings of a text that is JSON. */
function checkNames(text: string): void {
  /** Of each open bracket, the names so far; null: an array. */
  const open: (Set<string> | null)[] = [];
  let isName = false;
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case '{':
      case '[':
        isName = text[at] === '{';
        if (open.push(isName ? new Set() : null) > MAX_JSON_DEPTH)
          throw new SyntaxError(`it is nested more than ${MAX_JSON_DEPTH} deep`);
        break;
      case '}':
      case ']':
        open.pop();
        isName = false;
        break;
      case ',':
        isName = open.at(-1) !== null;
        break;
      case '"': {
        const end = endOfString(text, at);
        const names = open.at(-1);
        if (isName && names) addName(names, text.slice(at, end + 1));
        isName = false;
        at = end;
      }
    }
  }
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  for (; text.charCodeAt(at) !== QUOTE; at++) if (text.charCodeAt(at) === BACKSLASH) at++;
  return at;
}

function addName(names: Set<string>, literal: string): void {
  const name = literal.includes('\\') ? (JSON.parse(literal) as string) : literal.slice(1, -1);
  if (names.has(name)) throw new SyntaxError(`it gives the key ${literal.slice(0, 80)} twice`);
  names.add(name);
}
