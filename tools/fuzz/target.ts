/** What is fuzzed: inputs made from seeds, and what must hold for each. */
import { InputError, UsageError } from '../../src/errors.js';
import { Random } from '../../src/images/random.js';

/** One input: a base, and the seeds of the changes made to it, so that it can be made again, with fewer changes. */
export interface Recipe {
  readonly base: number;
  readonly steps: readonly number[];
}

export interface Target {
  readonly name: string;
  /** How many bases there are. */
  readonly bases: number;
  /** The bytes of an input. */
  make(recipe: Recipe): Uint8Array;
  /**
   * Uses an input as ivit does.
   *
   * @returns whether it was accepted
   * @throws InputError or UsageError where it is refused; anything else is a fault of ivit
   */
  use(bytes: Uint8Array): Promise<boolean>;
}

/** The changes of input `index` of a run. */
export function recipeOf(target: Target, seed: number, index: number): Recipe {
  const random = new Random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index, 0x85ebca77));
  const count = 1 + random.integer(4);
  return {
    base: random.integer(target.bases),
    steps: Array.from({ length: count }, () => random.uint32() | 0),
  };
}

export interface Outcome {
  readonly accepted: boolean;
  /** Null: as it must be. */
  readonly fault: string | null;
  /** Of the processor, all threads together: on a machine that is shared, time by the clock is no evidence. */
  readonly ms: number;
}

/** No input may take more of the processor. */
const SLOW_MS = 5000;
/** Nor may it take longer, working or not. */
const STUCK_MS = 60_000;

export async function tryInput(target: Target, recipe: Recipe): Promise<Outcome> {
  const start = performance.now();
  const before = process.cpuUsage();
  let accepted = false;
  let fault: string | null = null;
  try {
    accepted = await target.use(target.make(recipe));
  } catch (error) {
    if (!(error instanceof InputError || error instanceof UsageError)) fault = (error as Error).stack ?? String(error);
  }
  const { user, system } = process.cpuUsage(before);
  const ms = (user + system) / 1000;
  if (fault === null && (ms > SLOW_MS || performance.now() - start > STUCK_MS)) fault = `it took ${Math.round(ms)} ms`;
  return { accepted, fault, ms };
}

/** The recipe with as few changes as still show a fault. */
export async function minimised(target: Target, recipe: Recipe): Promise<Recipe> {
  for (let i = recipe.steps.length - 1; i >= 0; i--) {
    const steps = recipe.steps.filter((_, k) => k !== i);
    if ((await tryInput(target, { ...recipe, steps })).fault !== null) recipe = { ...recipe, steps };
  }
  return recipe;
}

/** Flips, sets, cuts, doubles or inserts bytes. */
export function changeBytes(bytes: Uint8Array, random: Random, end = bytes.length): Uint8Array {
  const at = random.integer(Math.max(1, Math.min(end, bytes.length)));
  const length = 1 + random.integer(8);
  const changed = new Uint8Array(bytes);
  switch (random.integer(6)) {
    case 0:
      changed[at] ^= 1 << random.integer(8);
      return changed;
    case 1:
      changed.fill([0, 255, 127, 128, random.integer(256)][random.integer(5)], at, at + length);
      return changed;
    case 2:
      return changed.subarray(0, at);
    case 3:
      return Buffer.concat([changed.subarray(0, at), changed.subarray(at + length)]);
    case 4:
      return Buffer.concat([changed.subarray(0, at + length), changed.subarray(at)]);
    default:
      return Buffer.concat([
        changed.subarray(0, at),
        Uint8Array.from({ length }, () => random.integer(256)),
        changed.subarray(at),
      ]);
  }
}

export function pick<T>(random: Random, values: readonly T[]): T {
  return values[random.integer(values.length)];
}
