/** native/generated.h: what the C code shares with TypeScript. `npm run generate` writes it, a test keeps it fresh. */
import { KNOTS } from '../kernels/activation.js';
import { IBERT_GELU_LIMIT, ROW_LIMIT, SCORE_LIMIT, TABLE_LIMIT, WIDE_LIMIT } from '../program/limits.js';
import { OP_KINDS } from '../program/ops/index.js';
import { TABLE_ENTRIES } from '../program/ops/lookup.js';
import { HEADER_WORDS, LAYOUT_WORDS, PLACES, STEP_KINDS, STEP_WORDS, VALUE_WORDS } from './encode.js';
import { SOFTMAXES } from './ops/attention.js';
import { GEOMETRY_WORDS } from './ops/geometry.js';
import { encodings } from './ops/index.js';
import { OUTPUT_WORDS, TYPES, VIEW_WORDS, countOf } from './ops/words.js';
import { ALIGN, SLACK } from './plan/memory.js';
import { WASM_EXPORTS } from './wasm-exports.js';

const LIMITS = {
  IVIT_ALIGN: [ALIGN, 'alignment of values and constants, in bytes'],
  IVIT_SLACK: [SLACK, 'bytes that may be read beyond the end of each'],
  IVIT_WIDE_LIMIT: [WIDE_LIMIT, 'of int32 values'],
  IVIT_ROW_LIMIT: [ROW_LIMIT, 'of u-hat, before a dynamic row is quantized'],
  IVIT_SCORE_LIMIT: [SCORE_LIMIT, 'of scores in log2 units'],
  IVIT_GELU_LIMIT: [IBERT_GELU_LIMIT, "of i-GELU's results"],
  IVIT_KNOTS: [KNOTS, 'of an activation table'],
  IVIT_TABLE_ENTRIES: [TABLE_ENTRIES, 'of the table of any function'],
  IVIT_TABLE_LIMIT: [TABLE_LIMIT, 'of each of them'],
} as const;

/** `layerNorm` → `LAYER_NORM`. */
const upper = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();

const enumOf = (prefix: string, names: readonly string[]): string =>
  `enum {\n${names.map((name) => `  ${prefix}${upper(name)}`).join(',\n')}\n};`;

/** Where the words of a layout begin, and how many there are. */
function wordsOf(prefix: string, layout: Readonly<Record<string, number>>): string {
  let at = 0;
  const lines = Object.entries(layout).map(([name, count]) => {
    const line = `  ${prefix}${upper(name)} = ${at}`;
    at += count;
    return line;
  });
  return `enum {\n${[...lines, `  ${prefix}WORDS = ${countOf(layout)}`].join(',\n')}\n};`;
}

function opOf(kind: (typeof OP_KINDS)[number]): string[] {
  const { words, constants } = encodings[kind];
  const prefix = `IVIT_${upper(kind)}_`;
  return [
    ...(Object.keys(words).length > 0 ? [wordsOf(prefix, words)] : []),
    ...(constants.length > 0 ? [enumOf(`${prefix}CONSTANT_`, constants)] : []),
  ];
}

/** The text of native/generated.h. */
export function nativeHeader(): string {
  return `${[
    '/* Made by `npm run generate` from src/engine and src/program: do not edit. */',
    '#ifndef IVIT_GENERATED_H\n#define IVIT_GENERATED_H',
    Object.entries(LIMITS)
      .map(([name, [value, what]]) => `#define ${name} ${value} /* ${what} */`)
      .join('\n'),
    "/* src/program/value.ts, Output. IVIT_ROWS: u8 with zero 128, and one i32 scale M' a row beside them. */",
    enumOf('IVIT_', TYPES).replace('enum {', 'typedef enum {').replace('};', '} ivit_type;'),
    '/* The exponential of a softmax. */',
    enumOf('IVIT_SOFTMAX_', SOFTMAXES).replace('enum {', 'typedef enum {').replace('};', '} ivit_softmax;'),
    '/* Kinds of steps. */',
    enumOf('IVIT_STEP_', STEP_KINDS),
    '/* Where a value lies. */',
    enumOf('IVIT_PLACE_', PLACES),
    "/* Words, all i32: of a program, a step (its op's own follow), the layout, a value; of parts of an op. */",
    wordsOf('IVIT_HEADER_', HEADER_WORDS),
    wordsOf('IVIT_STEP_WORD_', STEP_WORDS),
    wordsOf('IVIT_LAYOUT_', LAYOUT_WORDS),
    wordsOf('IVIT_VALUE_', VALUE_WORDS),
    wordsOf('IVIT_OUTPUT_', OUTPUT_WORDS),
    wordsOf('IVIT_VIEW_', VIEW_WORDS),
    wordsOf('IVIT_GEOMETRY_', GEOMETRY_WORDS),
    '/* Words and constants of each op. */',
    ...OP_KINDS.flatMap(opOf),
    '/* What a WebAssembly module exports: X(name). */',
    `#define IVIT_WASM_EXPORTS(X) \\\n${WASM_EXPORTS.map((name) => `  X(${name})`).join(' \\\n')}`,
    '#endif',
  ]
    .join('\n\n')
    .replaceAll(' */\n\nenum', ' */\nenum')
    .replaceAll(' */\n\ntypedef', ' */\ntypedef')
    .replaceAll(' */\n\n#define IVIT_WASM', ' */\n#define IVIT_WASM')}\n`;
}
