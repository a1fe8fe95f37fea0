import type { RequestKind, Requests } from './protocol.js';
import type { WorkerClient } from './worker-client.js';

interface Job {
  /** The worker that alone can do it; undefined: any. */
  readonly only: WorkerClient | undefined;
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

  ask<K extends RequestKind>(kind: K, ask: Requests[K]['asks'], only?: WorkerClient): Promise<Requests[K]['gives']> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== null) return reject(this.#closed);
      const run = (worker: WorkerClient): Promise<void> => worker.ask(kind, ask).then(resolve, reject);
      this.#queue.push({ only, run, reject });
      this.#dispatch();
    });
  }

  close(reason: Error): void {
    this.#closed ??= reason;
    for (const { reject } of this.#queue.splice(0)) reject(reason);
    for (const worker of this.#workers) worker.fail(reason);
  }

  #dispatch(): void {
    for (const worker of [...this.#idle]) {
      const at = this.#queue.findIndex(({ only }) => only === undefined || only === worker);
      if (at < 0) continue;
      this.#idle.splice(this.#idle.indexOf(worker), 1);
      const [job] = this.#queue.splice(at, 1);
      void job.run(worker).then(() => {
        this.#idle.push(worker);
        this.#dispatch();
      });
    }
  }
}
