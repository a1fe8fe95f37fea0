/**
 * What the float model gave in a quantization, in a file beside its statistics, so that another with other settings
 * need not run it again: see `RecordFile`. Nobody but the version of ivit that wrote it reads it; it may be deleted.
 */
import * as fs from 'node:fs';
import { cpus } from 'node:os';
import type { Collected } from '../calibrate/collect.js';
import type { Rows } from '../calibrate/row-store.js';
import { defaultRuntime, runtimeVersion } from '../calibrate/runtime.js';
import { replaceFile } from '../program/file.js';
import type { FloatRuns } from '../quantize/index.js';
import { requireRegularFile } from '../regular-file.js';
import type { KnownRecipes } from './recipe.js';
import { RecordFile, differenceOf } from './record-file.js';
import type { StatisticsSubject } from './statistics-file.js';
import { VERSION } from './version.js';

/** Where the runs of a float model are kept whose statistics are in `file`. */
export const runsName = (file: string): string => `${file}.runs`;

const FORMAT = 'ivit float runs';
/** Of the file's records. */
const VERSION_OF_RECORDS = 1;

/** What the float model's results depend on, whatever it is asked. */
interface Machine {
  readonly tool: string;
  readonly model: string;
  readonly runtime: string;
  readonly processor: string;
  readonly threads: number;
}

/** The same of all that is asked of it after the recipe is known. */
interface Subject extends Machine {
  readonly preprocessing: string;
  readonly images: string;
  readonly outputs: string;
}

/** What a subject's parts are called in messages. */
const PARTS: Readonly<Record<keyof Subject, string>> = {
  tool: 'another version of ivit',
  model: 'another model',
  runtime: 'another ONNX Runtime',
  processor: 'another processor',
  threads: 'another number of threads',
  preprocessing: 'another pre-processing',
  images: 'other calibration images',
  outputs: 'other outputs',
};

interface Source {
  readonly file: string;
  readonly subject: Partial<Subject>;
  readonly records: RecordFile;
}

type KeptPass = Omit<Collected, 'statistics'>;
type KnownRecipe = NonNullable<ReturnType<KnownRecipes['recipe']>>;

/** A pass as a file has it, before its samples. */
interface PassRecord extends Omit<KeptPass, 'samples'> {
  readonly digest: string;
  readonly lengths: ReadonlyMap<string, number>;
}

const samplesOf = (id: string): string => `samples of ${id}`;

export class KeptRuns implements FloatRuns, KnownRecipes {
  readonly errors = new Map<string, number>();
  #subject: Subject | null = null;
  /** The file whose runs are those of this quantization. */
  #source: Source | null = null;
  #pass: { readonly digest: string; readonly pass: KeptPass } | null = null;
  #recipe: { readonly digest: string; readonly recipe: KnownRecipe } | null = null;

  private constructor(
    private readonly machine: Machine,
    private readonly sources: readonly Source[],
    /** Files that cannot be used. */
    private readonly damaged: readonly string[],
  ) {}

  /** Opens what is kept beside files of statistics. */
  static read(statistics: readonly string[], { sha256, threads }: { sha256: string; threads: number }): KeptRuns {
    const { name } = defaultRuntime();
    const machine = {
      tool: `ivit ${VERSION}`,
      model: sha256,
      runtime: `${name} ${runtimeVersion(name)}`,
      processor: cpus()[0]?.model ?? process.arch,
      threads,
    };
    const files = statistics.map(runsName).filter((file) => fs.existsSync(file));
    const opened = files.map(openSource);
    const damaged = files.filter((_, i) => opened[i] === null);
    return new KeptRuns(
      machine,
      opened.filter((source) => source !== null),
      damaged,
    );
  }

  /**
   * Says what this quantization is of, before anything but the recipe is asked for.
   *
   * @param isCovered whether statistics are given that are of its images
   */
  of(
    { images, outputs, preprocessing }: StatisticsSubject & { images: string; outputs?: readonly string[] },
    isCovered: boolean,
    notice: (text: string) => void,
  ): void {
    this.#subject = { ...this.machine, preprocessing, images, outputs: JSON.stringify(outputs ?? []) };
    const differing = this.sources.map((source) => differenceOf(source.subject, this.#subject!, PARTS));
    const at = differing.indexOf(null);
    if (at >= 0) {
      this.#source = this.sources[at]!;
      const errors = this.#source.records.get('errors') as ReadonlyMap<string, number> | undefined;
      for (const [digest, error] of errors ?? []) this.errors.set(digest, error);
      notice(`What the float model gave is taken from ${this.#source.file}, as far as the settings leave it the same.`);
    } else if (isCovered && this.sources.length > 0)
      notice(`${this.sources[0].file} is of ${differing[0]}: the float model runs again.`);
    for (const file of this.damaged)
      notice(`${file} is damaged, or of another version of ivit: the float model runs again. Delete it.`);
  }

  recipe(digest: string): KnownRecipe | undefined {
    for (const { subject, records } of this.sources) {
      if (differenceOf<Subject>(subject, this.machine, PARTS) !== null) continue;
      const known = records.get('recipe') as { digest: string; recipe: KnownRecipe } | undefined;
      if (known?.digest === digest) return known.recipe;
    }
    return undefined;
  }

  keepRecipe(digest: string, recipe: KnownRecipe): void {
    this.#recipe = { digest, recipe };
  }

  pass(digest: string): KeptPass | undefined {
    const records = this.#source?.records;
    const pass = records?.get('pass') as PassRecord | undefined;
    if (records === undefined || pass?.digest !== digest) return undefined;
    const { lengths, logits, runtime } = pass;
    const isWhole = [...lengths].every(
      ([id, length]) => records.lengthOf(samplesOf(id)) === length * Float32Array.BYTES_PER_ELEMENT,
    );
    if (!isWhole) return undefined;
    return { samples: new StoredRows(records, lengths), logits, runtime };
  }

  keepPass(digest: string, pass: Collected): void {
    this.#pass = { digest, pass };
  }

  /**
   * Writes all that is kept, while the samples of the pass are open: see `replaceFile`.
   *
   * @throws InputError saying why the file cannot be written; nothing is left behind then
   */
  save(file: string): void {
    replaceFile(file, 0, (temporary) => {
      const handle = fs.openSync(temporary, 'wx+');
      try {
        this.#write(RecordFile.begin(handle, { format: FORMAT, version: VERSION_OF_RECORDS, subject: this.#subject }));
        fs.fsyncSync(handle);
      } finally {
        fs.closeSync(handle);
      }
    });
  }

  close(): void {
    for (const { records } of this.sources) records.close();
  }

  #write(records: RecordFile): void {
    if (this.#recipe !== null) records.put('recipe', this.#recipe);
    records.put('errors', this.errors);
    if (this.#pass === null) return;
    const { digest, pass } = this.#pass;
    const { samples, logits, runtime } = pass;
    for (const [id, length] of samples.lengths) {
      const { buffer, byteOffset, byteLength } = samples.read(id, 0, length);
      records.putBytes(samplesOf(id), new Uint8Array(buffer, byteOffset, byteLength));
    }
    records.put('pass', { digest, logits, runtime, lengths: samples.lengths } satisfies PassRecord);
  }
}

/** The samples of a pass where they lie in a file, which stays open. */
class StoredRows implements Rows {
  constructor(
    private readonly records: RecordFile,
    readonly lengths: ReadonlyMap<string, number>,
  ) {}

  read(name: string, from: number, to: number): Float32Array {
    const [start, end] = [from, to].map((at) => at * Float32Array.BYTES_PER_ELEMENT);
    const { buffer, byteOffset } = this.records.bytesOf(samplesOf(name), start, end);
    return new Float32Array(buffer, byteOffset, to - from);
  }

  close(): void {
    // Whoever opened the file closes it.
  }
}

/** @returns null where the file holds nothing that can be used */
function openSource(file: string): Source | null {
  requireRegularFile(file);
  const handle = fs.openSync(file, 'r');
  const found = RecordFile.read(handle);
  const { format, version, subject } = (found?.header ?? {}) as Partial<Record<'format' | 'version', unknown>> & {
    readonly subject?: Partial<Subject> | null;
  };
  // The pass comes last: without it, not all of the file is there.
  if (found?.records.lengthOf('pass') !== undefined && format === FORMAT && version === VERSION_OF_RECORDS && subject)
    return { file, subject, records: found.records };
  fs.closeSync(handle);
  return null;
}
