/** Names that an export must not have, for the sake of others. */

/** Standard headers, to C23: where a compiler searches the export's folder, `signal.h` there hides the system's. */
const HEADERS = new Set([
  ...['assert', 'complex', 'ctype', 'errno', 'fenv', 'float', 'inttypes', 'iso646', 'limits', 'locale', 'math'],
  ...['setjmp', 'signal', 'stdalign', 'stdarg', 'stdatomic', 'stdbit', 'stdbool', 'stdckdint', 'stddef', 'stdint'],
  ...['stdio', 'stdlib', 'stdnoreturn', 'string', 'tgmath', 'threads', 'time', 'uchar', 'wchar', 'wctype'],
]);

/** Types of which C23 has a macro `INT8_WIDTH`, as an export has of the image. */
const TYPES = /^(bool|[su]?char|u?(shrt|int|long|llong)|ptrdiff|sig_atomic|size|wchar|wint)$/;
const INTEGERS = /^u?int((_least|_fast)?(8|16|32|64)|max|ptr)$/;

/** Devices of Windows, which has no file `aux.c`. */
const DEVICES = /^(aux|con|nul|prn|(com|lpt)[0-9])$/;

/** Whether a name is C's own, or the system's. */
export function isReserved(name: string): boolean {
  const lower = name.toLowerCase();
  return HEADERS.has(lower) || [TYPES, INTEGERS, DEVICES].some((taken) => taken.test(lower));
}
