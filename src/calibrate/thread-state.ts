/** Index of each cell. */
const BUSY = 0;
const STOPPED = 1;
/** Nobody waits longer for a run at hand, however large the model. */
const LONGEST_WAIT_MS = 10_000;

/**
 * What the main thread and a thread of onnxruntime-node tell each other while the process ends, when no messages are
 * taken any more. A thread that is ended in the middle of a run takes the process down with SIGABRT.
 */
export class ThreadState {
  readonly #cells: Int32Array;

  /** @param buffer of the same state in the other thread */
  constructor(readonly buffer = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT)) {
    this.#cells = new Int32Array(buffer);
  }

  /** The thread has work. @returns false where the process ends: it may not begin */
  begin(): boolean {
    Atomics.store(this.#cells, BUSY, 1);
    return Atomics.load(this.#cells, STOPPED) === 0;
  }

  /** The thread has done its work, or may not begin. */
  end(): void {
    Atomics.store(this.#cells, BUSY, 0);
    Atomics.notify(this.#cells, BUSY);
  }

  /** Waits for the work at hand; none begins any more. */
  stop(): void {
    Atomics.store(this.#cells, STOPPED, 1);
    Atomics.wait(this.#cells, BUSY, 1, LONGEST_WAIT_MS);
  }
}
