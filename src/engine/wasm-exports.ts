/** The functions that native/build-wasm.mjs exports; addresses are numbers. */
export interface WasmFunctions {
  ivit_allocate(bytes: number): number;
  ivit_default_isa(): number;
  ivit_isa_name(): number;
  ivit_tile_rows(): number;
  ivit_tile_cols(): number;
  ivit_program_create(isa: number, words: number): number;
  ivit_program_step(program: number, index: number, words: number, constants: number): void;
  ivit_program_layout(program: number, words: number): void;
  ivit_context_create(program: number, threads: number): number;
  ivit_context_data(context: number, value: number): number;
  ivit_context_scale(context: number, value: number): number;
  ivit_context_profile(context: number, times: number): void;
  ivit_context_begin(context: number): void;
  ivit_context_run(context: number, thread: number): void;
}

export const WASM_EXPORTS = [
  'ivit_allocate',
  'ivit_default_isa',
  'ivit_isa_name',
  'ivit_tile_rows',
  'ivit_tile_cols',
  'ivit_program_create',
  'ivit_program_step',
  'ivit_program_layout',
  'ivit_context_create',
  'ivit_context_data',
  'ivit_context_scale',
  'ivit_context_profile',
  'ivit_context_begin',
  'ivit_context_run',
] as const satisfies readonly (keyof WasmFunctions)[];

/** A module's exports. */
export interface WasmExports extends WasmFunctions {
  readonly memory: WebAssembly.Memory;
}
