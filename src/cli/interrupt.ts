/** What signals that end a process do. */

/** 128 + the signal's number, as shells report it. */
const INTERRUPTED = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Of a command that goes on until it is interrupted: ends it in good order. */
let end: (() => void) | null = null;

export function exitOnSignals(): void {
  for (const [signal, code] of Object.entries(INTERRUPTED))
    process.on(signal, () => {
      if (end === null) process.exit(code);
      end();
      end = null; // the next one ends the process
    });
}

/** Resolves with the first signal, which then does not end the process. */
export function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    end = resolve;
  });
}
