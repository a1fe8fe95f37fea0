import type { RequestKind, Requests } from './protocol.js';
import type { WorkerClient } from './worker-client.js';

interface Job {
  run(worker: WorkerClient): Promise<void>;
  readonly reject: (error: Error) => void;
}

/** Workers that have the same model; what is asked goes to the first that is free. */
export class Pool {
  readonly #workers: readonly WorkerClient[];
  readonly #idle: WorkerClient[];
  readonly #queue: Job[] = [];
  #closed: Error | null = null;

  constructor(workers: readonly WorkerClient[]) {
    this.#workers = workers;
    this.#idle = [...workers];
  }

  ask<K extends RequestKind>(kind: K, ask: Requests[K]['asks']): Promise<Requests[K]['gives']> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== null) return reject(this.#closed);
      const run = (worker: WorkerClient): Promise<void> => worker.ask(kind, ask).then(resolve, reject);
      this.#queue.push({ run, reject });
      this.#dispatch();
    });
  }

  close(reason: Error): void {
    this.#closed ??= reason;
    for (const { reject } of this.#queue.splice(0)) reject(reason);
    for (const worker of this.#workers) worker.fail(reason);
  }

  #dispatch(): void {
    while (this.#idle.length > 0 && this.#queue.length > 0) {
      const worker = this.#idle.pop()!;
      void this.#queue
        .shift()!
        .run(worker)
        .then(() => {
          this.#idle.push(worker);
          this.#dispatch();
        });
    }
  }
}
