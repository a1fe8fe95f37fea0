import { UsageError } from '../errors.js';
import type { Engine } from './types.js';

/**
 * What holds for the engines of all backends: pixels are copied when they are handed in; `close` waits for what is
 * running, and may be called again; nothing runs afterwards.
 */
export function withLifetime(engine: Engine): Engine {
  const running = new Set<Promise<unknown>>();
  let closing: Promise<void> | null = null;
  const track = async <T>(start: () => Promise<T>): Promise<T> => {
    if (closing !== null) {
      throw new UsageError('The model was closed: load it again to run it', { code: 'CLOSED' });
    }
    const run = start();
    running.add(run);
    try {
      return await run;
    } finally {
      running.delete(run);
    }
  };
  return {
    backend: engine.backend,
    isa: engine.isa,
    threads: engine.threads,
    run: (pixels) => track(() => engine.run(copyOf(pixels))),
    runAll: (images) => track(() => engine.runAll(images.map(copyOf))),
    close: () => (closing ??= Promise.allSettled(running).then(() => engine.close())),
  };
}

/** Not `slice`, which in a Buffer copies nothing. What is no bytes is left to the engine's own check. */
function copyOf(pixels: Uint8Array): Uint8Array {
  return pixels instanceof Uint8Array ? new Uint8Array(pixels) : pixels;
}
