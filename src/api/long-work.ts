/** What all work that takes long has in common: it tells how far it is, and can be given up. */
/**
 * Told while work goes on: what is being done, and how much of `total` is done of that stage. Of bytes where a file is
 * read, else of images, layers or runs. Stages come one after the other.
 */
export type OnProgress<Stage extends string> = (stage: Stage, done: number, total: number) => void;

export interface LongWork<Stage extends string> {
  readonly onProgress?: OnProgress<Stage>;
  /**
   * Gives the work up: the promise is rejected with the signal's reason after at most one image or layer more. Threads
   * and memory are freed, and no file is written.
   */
  readonly signal?: AbortSignal;
}

/**
 * A copy of a request whose `onProgress` throws once it was given up. Every loop that takes long tells of its progress,
 * and ends what it began where that throws.
 *
 * @throws the signal's reason where it is given up already
 */
export function watched<Request extends LongWork<never>>(request: Request): Request {
  const { onProgress, signal } = request;
  signal?.throwIfAborted();
  const copy = {} as Request;
  for (const key in request) copy[key] = request[key]; // inherited values count
  return Object.assign(copy, {
    onProgress: (stage: never, done: number, total: number): void => {
      signal?.throwIfAborted();
      onProgress?.(stage, done, total);
    },
  });
}
