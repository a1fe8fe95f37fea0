/** What an export target is: something else than this package that runs an integer model, with the same integers. */
import type { StoredModel } from '../program/model.js';
import type { OpKind } from '../program/types.js';

/** What callers may ask for beside the model; a target names those it knows. */
export interface ExportOptions {
  /** C: where the constants go. */
  readonly weights?: 'c' | 'bin' | 'section';
  /** C: rows that are computed at a time; fewer take less memory and more time. */
  readonly tile?: number;
}

export interface ExportInput {
  readonly model: StoredModel;
  /** What files, functions and graphs are called: a C identifier. */
  readonly name: string;
  readonly options: ExportOptions;
}

/** A file by its path below the folder; of a target that writes one file, that file under any name. */
export type ExportedFiles = ReadonlyMap<string, string | Uint8Array>;

export interface Exported {
  readonly files: ExportedFiles;
  /** For people: what is worth knowing of the result, label and text. */
  readonly summary: readonly (readonly [string, string])[];
  /** Memory that each op works in, where the target decides about memory. */
  readonly memory?: readonly OpBytes[];
}

/** Bytes of working memory while an op runs: all values that exist then, and what the op works in. */
export interface OpBytes {
  readonly name: string;
  readonly op: string;
  readonly bytes: number;
}

export interface ExportTarget {
  /** A phrase for people: what it writes. */
  readonly describes: string;
  /** A folder of files, or one file whose default name ends so. */
  readonly writes: 'folder' | `.${string}`;
  readonly options: readonly (keyof ExportOptions)[];
  /** Whether a name, which is an identifier, is taken: files or functions of others have it. */
  isReserved?(name: string): boolean;
  /** It says what memory each op works in: `Exported.memory`. */
  readonly plansMemory: boolean;
  /** The ops that it can express. */
  readonly ops: readonly OpKind[];
  /** @throws InputError for a model that it cannot express for another reason */
  write(input: ExportInput): Exported | Promise<Exported>;
}
