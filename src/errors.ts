/** Exit codes of the command line, documented in the README. */
export const ExitCode = { done: 0, fault: 1, usage: 2, badInput: 3, checkFailed: 4 } as const;

/** Something the user gave (model, image, dataset) cannot be used: says what, where, and what to do. Exit code 3. */
export class InputError extends Error {
  override readonly name = 'InputError';
  readonly exitCode: number = ExitCode.badInput;
}

/** The command, or a function of the library, was called wrongly. Exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly exitCode: number = ExitCode.usage;
}

/** A check that the command performs did not hold. Exit code 4. */
export class CheckError extends Error {
  override readonly name = 'CheckError';
  readonly exitCode: number = ExitCode.checkFailed;
}
