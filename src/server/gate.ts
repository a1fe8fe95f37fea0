import { RequestError } from './request-error.js';

interface Waiting {
  readonly start: () => void;
  readonly timer: NodeJS.Timeout;
}

/** Lets a few through at a time; some may wait for a while, all others are sent away. */
export class Gate {
  #running = 0;
  readonly #queue: Waiting[] = [];

  constructor(
    private readonly limits: { readonly running: number; readonly waiting: number; readonly waitMs: number },
  ) {}

  /** @throws RequestError 503 where there is no room, or it did not come in time */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.limits.running) this.#running++;
    else await this.#wait();
    try {
      return await work();
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#running--;
      else next.start();
    }
  }

  /** Resolves when a place was handed over. */
  #wait(): Promise<void> {
    const { waiting, waitMs } = this.limits;
    if (this.#queue.length >= waiting) return Promise.reject(busy());
    return new Promise((resolve, reject) => {
      const entry: Waiting = {
        start: () => {
          clearTimeout(entry.timer);
          resolve();
        },
        timer: setTimeout(() => {
          this.#queue.splice(this.#queue.indexOf(entry), 1);
          reject(busy());
        }, waitMs),
      };
      this.#queue.push(entry);
    });
  }
}

const busy = (): RequestError =>
  new RequestError(503, 'Too many requests at a time: try again', { headers: { 'retry-after': '1' } });
