import type { ScaleMode } from '../options.js';
import { dynamicInputs } from './dynamic.js';
import type { InputScheme } from './input-scheme.js';
import { staticInputs } from './static.js';

/** What each value of `--scales` means. */
export const INPUT_SCHEMES: Readonly<Record<ScaleMode, InputScheme>> = { static: staticInputs, dynamic: dynamicInputs };
