import { fork, type ChildProcess } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { InputError } from '../../errors.js';
import { packageFile } from '../../package-root.js';
import { requireRegularFile } from '../../regular-file.js';

/** What a file says of itself. */
export interface ParquetSummary {
  readonly columns: readonly { readonly name: string; readonly mayHoldImages: boolean }[];
  /** Bytes: of each column, unpacked. */
  readonly groups: readonly { readonly rows: number; readonly bytes: Readonly<Record<string, number>> }[];
  /** What the `datasets` library wrote, JSON. */
  readonly huggingFace: string | undefined;
}

type Asked =
  | { readonly kind: 'open'; readonly file: string }
  | {
      readonly kind: 'read';
      readonly file: string;
      readonly cells: Cells;
      /** Images are bytes, or null where there are none. */
      readonly as: 'images' | 'values';
    };

/** What parquet-child.ts is asked for. */
export interface ParquetTask {
  readonly asked: Asked;
  /** Bytes that its process may grow by: where it takes more, it ends itself. */
  readonly mostMemory: number;
}

/** Some rows of a column. */
export interface Cells {
  readonly column: string;
  readonly from: number;
  /** The row after the last. */
  readonly to: number;
  /** What they take unpacked, as the file says. */
  readonly bytes: number;
}

/** What parquet-child.ts answers: cells, some at a time, and then the result or one line on why there is none. */
export type ParquetAnswer =
  { readonly cells: readonly unknown[] } | { readonly summary?: ParquetSummary } | { readonly error: string };

/** What a slow machine unpacks in a second with the slowest codec; and rows of next to no bytes. */
const BYTES_A_SECOND = 4 * 2 ** 20;
const ROWS_A_SECOND = 20_000;
/** A file that says it is packed denser gets no more time and memory. */
const MAX_RATIO = 100;
const TICK_MS = 250;
/** What reading may take, beside six times the bytes and some for each row. */
const SPARE_MEMORY = 2 ** 30;
const MEMORY_A_ROW = 500;

/**
 * hyparquet in a process of its own. Damage can lead it to read for ever, and to arrays so long that V8 ends the whole
 * process. So the process is ended when it takes longer, or more memory, than a file of that size can ask for; the next
 * task starts another one.
 */
export class ParquetProcess {
  #child: ChildProcess | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** @param patience seconds that every task has, whatever its size */
  constructor(private readonly patience = 30) {}

  /** @throws InputError where it is no Parquet file, or a damaged one */
  async open(file: string): Promise<ParquetSummary> {
    const { summary } = await this.#inTurn({ kind: 'open', file }, { bytes: 2 ** 28, rows: 0 });
    return summary!;
  }

  /** @throws InputError where the file is damaged */
  async images(file: string, cells: Cells): Promise<(Uint8Array | null)[]> {
    const done = await this.#inTurn({ kind: 'read', file, cells, as: 'images' }, workOf(cells));
    return done.cells as (Uint8Array | null)[];
  }

  /** @throws InputError where the file is damaged */
  async values(file: string, cells: Cells): Promise<readonly unknown[]> {
    return (await this.#inTurn({ kind: 'read', file, cells, as: 'values' }, workOf(cells))).cells;
  }

  /** One task after the other, so that each has the process's time to itself. */
  #inTurn(asked: Asked, { bytes, rows }: Work): Promise<Done> {
    const done = this.#last.then(async () => {
      requireRegularFile(asked.file);
      const { size } = await stat(asked.file);
      return this.#perform(asked, { bytes: Math.min(bytes, MAX_RATIO * size), rows: Math.min(rows, size) });
    });
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #perform(asked: Asked, { bytes, rows }: Work): Promise<Done> {
    const seconds = this.patience + bytes / BYTES_A_SECOND + rows / ROWS_A_SECOND;
    const mostMemory = SPARE_MEMORY + 6 * bytes + MEMORY_A_ROW * rows;
    const child = this.#running();
    // Counted, for while a machine sleeps or a process is stopped nobody reads.
    let ticks = 0;
    const timer = setInterval(() => ++ticks * TICK_MS > 1000 * seconds && child.kill('SIGKILL'), TICK_MS);
    try {
      return await answerOf(child, { asked, mostMemory });
    } catch (error) {
      const { signal, message } = error as ReaderError;
      const most = ticks * TICK_MS > 1000 * seconds ? `${Math.ceil(seconds)} s` : `${gib(mostMemory)} of memory`;
      const reason =
        signal === 'SIGKILL' ? `reading it takes more than ${most}, which its size does not explain` : message;
      throw new InputError(`${asked.file} is no Parquet file, or a damaged one: ${reason}`, { cause: error });
    } finally {
      clearInterval(timer);
    }
  }

  #running(): ChildProcess {
    const alive = this.#child?.connected === true && this.#child.exitCode === null && this.#child.signalCode === null;
    return alive ? this.#child! : (this.#child = started());
  }
}

interface Work {
  readonly bytes: number;
  readonly rows: number;
}

function workOf({ from, to, bytes }: Cells): Work {
  return { bytes: Math.max(0, bytes), rows: to - from };
}

interface Done {
  readonly cells: readonly unknown[];
  readonly summary: ParquetSummary | undefined;
}

class ReaderError extends Error {
  constructor(
    message: string,
    /** That ended the process. */
    readonly signal: NodeJS.Signals | null = null,
  ) {
    super(message);
  }
}

/** Only work keeps this process alive. */
function answerOf(child: ChildProcess, task: ParquetTask): Promise<Done> {
  const cells: unknown[] = [];
  ['message', 'error', 'exit'].forEach((event) => child.removeAllListeners(event));
  child.ref();
  child.channel?.ref();
  return new Promise<Done>((resolve, reject) => {
    child
      .on('message', (answer: ParquetAnswer) => {
        if ('cells' in answer) answer.cells.forEach((cell) => cells.push(cell));
        else if ('error' in answer) reject(new ReaderError(answer.error));
        else resolve({ cells, summary: answer.summary });
      })
      .on('error', (error) => reject(new ReaderError(`its reader cannot be started or reached: ${error.message}`)))
      .on('exit', (code, signal) => reject(new ReaderError(`its reader ended with ${signal ?? code}`, signal)));
    child.send(task);
  }).finally(() => {
    child.unref();
    child.channel?.unref();
  });
}

/** Options of this process may not suit one that runs a file; what V8 says when it gives up is said in one line. */
function started(): ChildProcess {
  return fork(packageFile('dist/images/datasets/parquet-child.js'), {
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
