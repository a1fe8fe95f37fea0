import type { OpRunner } from '../../engine/types.js';
import type { Quantization } from '../context.js';
import type { Sensitivities } from '../decide/sensitivity.js';
import type { ProgramBuilder } from './program-builder.js';

/** All that building a program needs. */
export interface BuildRequest extends Quantization {
  readonly sensitivities: Sensitivities;
  readonly runner: OpRunner;
}

/** The program so far, and what it is built from. */
export interface ProgramContext {
  readonly request: BuildRequest;
  readonly builder: ProgramBuilder;
}
