/** C99 without floats, libc or malloc. */
import type { Exported, ExportInput, ExportTarget } from '../target.js';

export const cTarget: ExportTarget = {
  describes: 'C99 without floats, libc or malloc: a folder',
  writes: 'folder',
  options: ['weights', 'tile'],
  ops: [],
  write: (input: ExportInput): Exported => ({ files: new Map([[`${input.name}.h`, '']]), summary: [] }),
};
