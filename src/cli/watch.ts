/** Files that are put into a folder. */
import { watch } from 'chokidar';
import { InputError } from '../errors.js';
import { isImageName } from '../images/datasets/index.js';
import { checkWatchable } from './image-files.js';
import { interrupted } from './interrupt.js';

/** A file whose size has not changed for so long is whole. */
const STABLE_MS = 300;
const POLL_MS = 50;

/**
 * Images that are put into a folder or its subfolders, or written anew, in the order in which they are whole; several
 * where they come faster than they are taken. Ends with an interrupt.
 *
 * @param onReady called once all that happens is seen
 * @throws InputError where there is no such folder, or it cannot be watched any more
 */
export async function* newImages(folder: string, onReady: () => void): AsyncGenerator<string[]> {
  checkWatchable(folder);
  const found = new Set<string>();
  let failure: Error | null = null;
  let wake: () => void = () => undefined;
  const isHidden = (file: string): boolean => /(?:^|[\\/])\.[^\\/]/.test(file.slice(folder.length));
  const watcher = watch(folder, {
    ignoreInitial: true,
    ignored: (file, info) => isHidden(file) || (info?.isFile() === true && !isImageName(file)),
    awaitWriteFinish: { stabilityThreshold: STABLE_MS, pollInterval: POLL_MS },
  });
  const add = (file: string) => {
    found.add(file);
    wake();
  };
  watcher.on('add', add).on('change', add).on('ready', onReady);
  watcher.on('error', (error) => {
    failure = error as Error;
    wake();
  });
  let isOver = false;
  void interrupted().then(() => {
    isOver = true;
    wake();
  });
  try {
    while (!isOver) {
      if (failure !== null) throw new InputError(`Cannot watch ${folder}: ${(failure as Error).message}`);
      const files = [...found];
      found.clear();
      if (files.length > 0) yield files;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    await watcher.close();
  }
}
