/** Text of C files. */

/** A name of the model, for a comment. */
export const comment = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?').replaceAll('*/', '* /');

export function indent(text: string, spaces: number): string {
  return text
    .split('\n')
    .map((line) => (line === '' || line.startsWith('#') ? line : ' '.repeat(spaces) + line))
    .join('\n');
}
