/** The files of an exported program. */
import { readFileSync } from 'node:fs';
import { outputSize } from '../../metrics/output.js';
import { packageFile } from '../../package-root.js';
import type { StoredModel } from '../../program/model.js';
import { MARK, type Constants } from './constants.js';
import type { ProgramText } from './program.js';
import { sliceSources } from './sources.js';
import { comment } from './text.js';

export interface CNames {
  /** Of files and functions. */
  readonly name: string;
  /** In front of macros. */
  readonly macro: string;
}

export interface HeaderFacts {
  readonly model: StoredModel;
  readonly outputs: number;
  readonly arenaBytes: number;
  readonly weightBytes: number;
}

const SLICE = 'Exported by ivit';

/** Stands for the number of an export. */
const EXPORT = '@EXPORT@';

export const markFile = (text: string, id: string): string => text.replaceAll(EXPORT, id);

/** Refuses a header of another export. */
const checked = (macro: string): string => `#if ${macro}_EXPORT != ${EXPORT}
#error "These files are of different exports: write them anew, all of them"
#endif`;

export function headerText({ name, macro }: CNames, { model, outputs, arenaBytes, weightBytes }: HeaderFacts): string {
  const { height, width, channels } = model.program.input;
  const described = model.outputs.map(
    ({ name: output, shape, start }) =>
      ` *   ${comment(output)} [${shape.join('][')}] = out[${start}] to out[${start + outputSize({ shape }) - 1}]`,
  );
  return `/*
 * ${SLICE}: an integer-only model, ${comment(model.provenance.source.name)}.
 * ${model.hash}
 *
 * Outputs are integers. One unit stands for ${comment(model.logitScale)}. Of each image there are
${described.join('\n')}
 */
#ifndef ${macro}_H
#define ${macro}_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of this export's files. */
#define ${macro}_EXPORT ${EXPORT}

#define ${macro}_HEIGHT ${height}
#define ${macro}_WIDTH ${width}
#define ${macro}_CHANNELS ${channels}
/* u8, [height][width][channels], resized and cropped, as decoded: nothing is subtracted or divided. */
#define ${macro}_PIXELS ${height * width * channels}
/* i32. */
#define ${macro}_OUTPUTS ${outputs}
/* Memory to work in. It may begin anywhere, and is used by nothing but one call at a time. */
#define ${macro}_ARENA_BYTES ${arenaBytes}
/* Constants, in read-only memory. */
#define ${macro}_WEIGHT_BYTES ${weightBytes}

/*
 * Runs the model on one image.
 * Returns 0, or -1 where an argument is NULL, or -2 where the weights are those of another model or byte order.
 */
int ${name}_run(const uint8_t *pixels, int32_t *out, void *arena);

#ifdef __cplusplus
}
#endif

#endif
`;
}

/** The kernels that the program uses, all static. */
export function kernelsText({ name, macro }: CNames, kernels: readonly string[]): string {
  return `/* ${SLICE}: the kernels that ${name}.c uses. All are static. Docs: docs/arithmetic.md of ivit. */
#ifndef ${macro}_KERNELS_H
#define ${macro}_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "${name}.h"

${checked(macro)}

/* Floors of negative numbers are taken by shifts; products of 32 bits by the type int. */
typedef char ivit_needs_arithmetic_shifts[(-1 >> 1) == -1 ? 1 : -1];
typedef char ivit_needs_int_of_32_bits[sizeof(int) >= 4 ? 1 : -1];

${sliceSources(kernels)}

#endif
`;
}

export function programText({ name, macro }: CNames, text: ProgramText, check: string | null, output: string): string {
  return `/* ${SLICE}: the program. Each stage takes blocks of rows through its steps. */
#if defined(ARDUINO) && defined(__GNUC__) && !defined(__clang__)
/* Arduino takes no -fno-strict-aliasing from the command line. */
#pragma GCC optimize("no-strict-aliasing")
#endif

#include "${name}.h"
#include "${name}_kernels.h"
#include "${name}_weights.h"

${checked(macro)}

/* Called before each op with its number, to measure by. */
#ifdef ${macro}_HOOK
#define HOOK(op) ${macro}_HOOK(op)
#else
#define HOOK(op) ((void)0)
#endif

#define AT(offset) ((void *)(a + (offset)))

${text.structs}

${text.stages.join('\n\n')}

int ${name}_run(const uint8_t *pixels, int32_t *out, void *arena) {
  if (!pixels || !out || !arena) return -1;
${check === null ? '' : `${check}\n`}  uint8_t *const a = (uint8_t *)arena + (8 - (uintptr_t)arena % 8) % 8;
${text.calls}
${output}  return 0;
}
`;
}

export function weightsHeader({ name, macro }: CNames, constants: Constants, isBinary: boolean): string {
  const base = isBinary ? `extern const uint8_t ${name}_weights[];\n\n` : '';
  return `/* ${SLICE}: the constants. */
#ifndef ${macro}_WEIGHTS_H
#define ${macro}_WEIGHTS_H

#include <stdint.h>

#include "${name}.h"

${checked(macro)}

${base}${constants.declarations(isBinary)}

#endif
`;
}

export function weightsText({ name, macro }: CNames, constants: Constants, isSection: boolean): string {
  const section = isSection
    ? `
/* Where the constants go: a section of their own, which a linker script places. */
#ifndef IVIT_WEIGHTS
#define IVIT_WEIGHTS __attribute__((section(".ivit_weights")))
#endif
`
    : '';
  return `/* ${SLICE}: the constants. */
#include "${name}_weights.h"

${checked(macro)}
${section}
${constants.definitions(isSection ? 'IVIT_WEIGHTS ' : '')}`;
}

/** A source that takes the binary file into the program. */
export function weightsAssembly({ name }: CNames): string {
  return `/*
 * ${SLICE}: takes ${name}_weights.bin, of little-endian numbers, into the program. Where the file is written to
 * flash by itself, leave this source out, and tell the linker its address, a multiple of 8:
 * -Wl,--defsym=${name}_weights=0x90000000
 */
  .section .rodata
  .global ${name}_weights
  .balign 8
${name}_weights:
  .incbin "${name}_weights.bin"
#if defined(__linux__) && defined(__ELF__)
  .section .note.GNU-stack, "", %progbits
#endif
`;
}

/** A check that the binary weights are this program's. */
export function weightsCheck({ name }: CNames, hash: number): string {
  return `  const int32_t *const mark = (const int32_t *)(const void *)${name}_weights;
  if (mark[0] != ${MARK} || mark[1] != ${hash}) return -2;`;
}

export function testText({ name, macro }: CNames, golden: readonly string[]): string {
  return `/* ${SLICE}: a test of ${name}.c, which may use a C library. */
#include <stdint.h>
#include <stdio.h>

#include "${name}.h"

${checked(macro)}

/* Arduino compiles every file of a folder, and has a main of its own. */
#ifndef ARDUINO

#define IVIT_PIXELS ${macro}_PIXELS
#define IVIT_OUTPUTS ${macro}_OUTPUTS
#define IVIT_ARENA_BYTES ${macro}_ARENA_BYTES
#define ivit_run ${name}_run

/* The digests of test images, from 1 on. */
static const char *const golden[] = {
${golden.map((digest) => `    "${digest}",`).join('\n')}
};
${readFileSync(packageFile('native', 'export/test_main.c'), 'utf8')}
#endif
`;
}

export function memoryText({ name }: CNames): string {
  const text = readFileSync(packageFile('native', 'export/memory.c'), 'utf8');
  return `/* ${SLICE}, for ${name}.c. */\n${text}`;
}

export function makefileText({ name }: CNames, weights: string): string {
  return `# ${SLICE}. make test runs it here; a cross compiler makes objects:
# make CC=arm-none-eabi-gcc CFLAGS="-Os -mcpu=cortex-m55 -mthumb" objects
CC = cc
CFLAGS = -O2
# The arena is bytes that hold numbers of several widths.
REQUIRED = -std=c99 -ffreestanding -fno-strict-aliasing -Wall -Wextra
OBJECTS = ${name}.o ${name}_weights.o

objects: $(OBJECTS)

${name}.o: ${name}.c ${name}.h ${name}_kernels.h ${name}_weights.h
\t$(CC) $(REQUIRED) $(CFLAGS) -c -o $@ ${name}.c

${name}_weights.o: ${weights}
\t$(CC) $(CFLAGS) -c -o $@ ${weights.split(' ')[0]}

${name}_test: $(OBJECTS) ${name}_test.c
\t$(CC) $(CFLAGS) -o $@ ${name}_test.c $(OBJECTS) $(LDFLAGS)

test: ${name}_test
\t./${name}_test

clean:
\trm -f $(OBJECTS) ${name}_test

.PHONY: objects test clean
`;
}
