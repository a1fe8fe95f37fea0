/** Exit codes of the command line, documented in the README. */
export const ExitCode = { done: 0, fault: 1, usage: 2, badInput: 3, checkFailed: 4 } as const;

/** What an `InputError` is about: stable from version to version, as messages are not. See docs/library.md. */
export type InputErrorCode =
  | 'BAD_DATASET'
  | 'BAD_FILE'
  | 'BAD_IMAGE'
  | 'BAD_INPUT'
  | 'BAD_IVIT'
  | 'BAD_ONNX'
  | 'BAD_SETTING'
  | 'FLOAT_RUNTIME'
  | 'NOT_FOUND'
  | 'NO_BACKEND'
  | 'NO_MEMORY'
  | 'UNSUPPORTED_ONNX'
  | 'UNWRITABLE';

/** What a `UsageError` is about: a wrong argument, or a model that was closed. */
export type UsageErrorCode = 'CLOSED' | 'USAGE';

/** The `code` of every error that is no fault of ivit. */
export type ErrorCode = InputErrorCode | UsageErrorCode | 'CHECK_FAILED';

/** How an error is made. */
export interface CodeOptions<Code> extends ErrorOptions {
  /** What it is about; default: that of `cause`. */
  readonly code?: Code;
}

/** Of an error whose code nothing says more of. */
const UNTOLD = 'BAD_INPUT';

/**
 * Something the user gave (model, image, dataset) cannot be used: says what, where, and what to do. Exit code 3.
 *
 * An error that wraps another has its code, unless it is given one.
 */
export class InputError extends Error {
  override readonly name = 'InputError';
  readonly exitCode: number = ExitCode.badInput;
  readonly code: InputErrorCode;

  constructor(message: string, options: CodeOptions<InputErrorCode> = {}) {
    super(message, options);
    const { code, cause } = options;
    this.code = code ?? (cause instanceof InputError ? cause.code : UNTOLD);
  }
}

/**
 * Gives an `InputError` a code where it has none of its own: called where it is known what kind of thing was read.
 *
 * @returns the same error, to be thrown again
 */
export function coded(error: unknown, code: InputErrorCode): unknown {
  if (error instanceof InputError && error.code === UNTOLD) (error as { code: InputErrorCode }).code = code;
  return error;
}

/** Work whose errors get that code, where they have none of their own. */
export const withCode = <T>(code: InputErrorCode, work: Promise<T>): Promise<T> =>
  work.catch((error: unknown) => {
    throw coded(error, code);
  });

/** The command, or a function of the library, was called wrongly. Exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly exitCode: number = ExitCode.usage;
  readonly code: UsageErrorCode;

  constructor(message: string, options: CodeOptions<UsageErrorCode> = {}) {
    super(message, options);
    this.code = options.code ?? 'USAGE';
  }
}

/** A check that the command performs did not hold. Exit code 4. */
export class CheckError extends Error {
  override readonly name = 'CheckError';
  readonly exitCode: number = ExitCode.checkFailed;
  readonly code = 'CHECK_FAILED';
}
