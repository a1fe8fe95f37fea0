/** The process of parquet-process.ts: everything that is asked of hyparquet. */
import { open, stat } from 'node:fs/promises';
import { Worker, isMainThread, workerData } from 'node:worker_threads';
import { parquetMetadataAsync, parquetReadObjects, parquetSchema } from 'hyparquet';
import type { AsyncBuffer, FileMetaData, SchemaTree } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import type { Cells, ParquetAnswer, ParquetSummary, ParquetTask } from './parquet-process.js';

const WATCH_MS = 250;
/** Of images in one message. */
const MESSAGE_BYTES = 2 ** 22;
const MESSAGE_CELLS = 10_000;

/** Of the files that were opened, as they were then. */
const opened = new Map<string, { readonly metadata: FileMetaData; readonly size: number; readonly time: number }>();

if (isMainThread) serve();
else watch(workerData as Watched);

interface Watched {
  readonly parent: number;
  /** Bytes that the process may have; it changes with each task. */
  readonly mostMemory: Float64Array;
}

function serve(): void {
  const mostMemory = new Float64Array(new SharedArrayBuffer(8)).fill(Infinity);
  const watched: Watched = { parent: process.ppid, mostMemory };
  new Worker(new URL(import.meta.url), { workerData: watched }).unref();
  process.on('disconnect', () => process.exit());
  // Ctrl-C reaches all processes of a terminal: this one ends with its parent.
  process.on('SIGINT', () => undefined);
  process.on('message', (task: ParquetTask) => {
    mostMemory[0] = process.memoryUsage.rss() + task.mostMemory;
    void answer(task);
  });
}

/** On a thread of its own, for the other may be busy without end: then it hears of nothing. */
function watch({ parent, mostMemory }: Watched): void {
  setInterval(() => {
    if (process.ppid !== parent || process.memoryUsage.rss() > mostMemory[0]!) process.kill(process.pid, 'SIGKILL');
  }, WATCH_MS);
}

async function answer({ asked }: ParquetTask): Promise<void> {
  try {
    if (asked.kind === 'open') tell({ summary: summaryOf(await metadataOf(asked.file)) });
    else {
      sendCells(await cellsOf(asked.file, asked.cells, asked.as));
      tell({});
    }
  } catch (error) {
    tell({ error: (error instanceof Error ? error.message : String(error)).split('\n')[0]! });
  }
}

function tell(told: ParquetAnswer): void {
  process.send!(told);
}

function sendCells(cells: readonly unknown[]): void {
  let first = 0;
  let bytes = 0;
  cells.forEach((cell, index) => {
    bytes += cell instanceof Uint8Array ? cell.length : 0;
    if (bytes < MESSAGE_BYTES && index - first < MESSAGE_CELLS && index < cells.length - 1) return;
    tell({ cells: cells.slice(first, index + 1) });
    first = index + 1;
    bytes = 0;
  });
}

async function metadataOf(file: string): Promise<FileMetaData> {
  const { size, mtimeMs: time } = await stat(file);
  const known = opened.get(file);
  if (known?.size === size && known.time === time) return known.metadata;
  const metadata = await parquetMetadataAsync(await bufferOf(file));
  const inGroups = metadata.row_groups.reduce((sum, group) => sum + Number(group.num_rows), 0);
  if (Number(metadata.num_rows) !== inGroups || !(inGroups < 2 ** 31) || inGroups < 0)
    throw new Error(`it has ${inGroups} rows in its groups, and says ${metadata.num_rows}`);
  opened.set(file, { metadata, size, time });
  return metadata;
}

function summaryOf(metadata: FileMetaData): ParquetSummary {
  return {
    columns: parquetSchema(metadata).children.map((column) => ({
      name: column.element.name,
      mayHoldImages: mayHoldImages(column),
    })),
    groups: metadata.row_groups.map((group) => {
      const bytes: Record<string, number> = {};
      for (const { meta_data: chunk } of group.columns) {
        const name = chunk?.path_in_schema[0];
        if (name !== undefined) bytes[name] = (bytes[name] ?? 0) + Number(chunk!.total_uncompressed_size);
      }
      return { rows: Number(group.num_rows), bytes };
    }),
    huggingFace: metadata.key_value_metadata?.find(({ key }) => key === 'huggingface')?.value,
  };
}

/** Bytes, or a group of bytes and path as `datasets.Image` writes it. */
function mayHoldImages({ element, children }: SchemaTree): boolean {
  const isBytes = ({ type, converted_type: converted }: SchemaTree['element']) =>
    type === 'BYTE_ARRAY' && converted !== 'UTF8' && converted !== 'JSON';
  if (children.length === 0) return isBytes(element);
  return children.some((child) => child.element.name === 'bytes' && isBytes(child.element));
}

async function cellsOf(file: string, { column, from, to }: Cells, as: 'images' | 'values'): Promise<unknown[]> {
  const rows = await parquetReadObjects({
    file: await bufferOf(file),
    metadata: await metadataOf(file),
    columns: [column],
    rowStart: from,
    rowEnd: to,
    compressors,
    utf8: as === 'values',
  });
  return rows.map(({ [column]: cell }) => (as === 'values' ? cell : imageIn(cell)));
}

function imageIn(cell: unknown): Uint8Array | null {
  const image = cell instanceof Uint8Array ? cell : (cell as { bytes?: unknown } | null | undefined)?.bytes;
  return image instanceof Uint8Array ? image : null;
}

async function bufferOf(file: string): Promise<AsyncBuffer> {
  const { size } = await stat(file);
  return {
    byteLength: size,
    slice(start: number, end = size): Promise<ArrayBuffer> {
      const [from, to] = [start < 0 ? size + start : start, end < 0 ? size + end : end];
      const reading = readRange(file, size, from, to);
      // Of several that are asked for at once, hyparquet waits for one after the other.
      reading.catch(() => undefined);
      return reading;
    },
  };
}

async function readRange(file: string, size: number, from: number, to: number): Promise<ArrayBuffer> {
  if (!(from >= 0 && to >= from && to <= size)) throw new RangeError(`it has no bytes ${from} to ${to}`);
  const handle = await open(file);
  try {
    const bytes = new Uint8Array(to - from);
    let at = 0;
    while (at < bytes.length) {
      const { bytesRead } = await handle.read(bytes, at, bytes.length - at, from + at);
      if (bytesRead === 0) throw new RangeError('it was cut off while it was read');
      at += bytesRead;
    }
    return bytes.buffer;
  } finally {
    await handle.close();
  }
}
