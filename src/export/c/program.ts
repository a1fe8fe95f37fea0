/** The program itself: constants of each op, a function for each stage, and the one that runs them all. */
import type { Step } from '../../engine/plan/types.js';
import { bytesOf } from '../../program/value.js';
import { Constants } from './constants.js';
import type { CallContext, CStruct } from './ops/definition.js';
import { QUANTIZE, cOpOf } from './ops/index.js';
import { comment, indent } from './text.js';
import type { CPlan, CStage, Segment } from './types.js';

export interface ProgramText {
  /** Structures of constants. */
  readonly structs: string;
  readonly stages: readonly string[];
  /** Calls of all stages, in order. */
  readonly calls: string;
  /** Functions and types that the kernels must have. */
  readonly kernels: readonly string[];
}

export function writeProgram(plan: CPlan, constants: Constants): ProgramText {
  const kernels = new Set<string>(['ivit_min', 'ivit_type']);
  const structs: string[] = [];
  plan.steps.forEach((step, i) => {
    const { op } = step;
    if (op === null) kernels.add(QUANTIZE);
    if (op === null || op.op === 'constant') {
      if (op?.op === 'constant') constants.add(`${i}_data`, op.data);
      return;
    }
    if (!plan.stages.some(({ steps }) => steps.includes(i))) return;
    const operands = step.operands.map((id) => plan.values[id]);
    const definition = cOpOf(op);
    for (const name of definition.kernels(op, operands)) kernels.add(name);
    const struct = definition.struct?.(op, {
      operands,
      input: plan.work.image,
      array: (field, data) => constants.add(`${i}_${field}`, data),
    });
    if (struct !== undefined) structs.push(structText(i, op.name, struct));
  });
  const stages = plan.stages.map((stage, s) => stageText(plan, constants, stage, s));
  return {
    structs: structs.join('\n'),
    stages,
    calls: stages.map((_, s) => `  stage_${s}(pixels, out, a);`).join('\n'),
    kernels: [...kernels],
  };
}

function structText(step: number, name: string, { type, fields }: CStruct): string {
  const body = Object.entries(fields).map(([field, value]) => `    .${field} = ${value},`);
  return `/* ${comment(name)} */\nstatic const ${type} op_${step} = {\n${body.join('\n')}\n};`;
}

function stageText(plan: CPlan, constants: Constants, stage: CStage, s: number): string {
  const prepared = stage.steps.flatMap((step) => {
    const { op } = plan.steps[step];
    const text = op === null ? undefined : cOpOf(op).prepare?.(op, contextOf(plan, constants, step));
    return text === undefined ? [] : [`  HOOK(${step});\n  ${text}`];
  });
  const segments = stage.segments.map((segment) => segmentText(plan, constants, segment));
  return [
    `static void stage_${s}(const uint8_t *pixels, int32_t *out, uint8_t *a) {`,
    '  (void)pixels, (void)out, (void)a;',
    ...prepared,
    ...segments,
    '}',
  ].join('\n');
}

function segmentText(plan: CPlan, constants: Constants, { first, end, steps }: Segment): string {
  const calls = steps.map((step) => callText(plan, constants, step));
  const isOne = end - first <= plan.tile;
  const head = isOne
    ? [`  {`, `    const int32_t r = ${first}, n = ${end - first};`]
    : [
        `  for (int32_t r = ${first}; r < ${end}; r += ${plan.tile}) {`,
        `    const int32_t n = ivit_min(${plan.tile}, ${end} - r);`,
      ];
  return [...head, `    (void)r, (void)n;`, ...calls.map((text) => indent(text, 4)), '  }'].join('\n');
}

function callText(plan: CPlan, constants: Constants, step: number): string {
  const { op, out } = plan.steps[step];
  const context = contextOf(plan, constants, step);
  const { cols } = plan.values[out];
  const text =
    op === null
      ? `${QUANTIZE}(n, ${cols}, ${context.x(0, cols)}, ${context.out}, ${context.scale});`
      : cOpOf(op).call(op, context);
  const body = text.includes('\n') ? `{\n${indent(text, 2)}\n}` : text;
  return `HOOK(${step});\n${body}`;
}

/** Within the caller's outputs. */
const outAt = (offset: number): string => (offset === 0 ? 'out' : `out + ${offset >> 2}`);

/** Where the operands and the result of a step lie, as C. */
function contextOf(plan: CPlan, constants: Constants, step: number): CallContext {
  const { values, steps, places } = plan;
  const { operands, out } = steps[step];
  const makerOf = (id: number): number => steps.findIndex((other) => other.out === id);
  const base = (id: number): string => {
    const { kind, offset } = places[id];
    const made = makerOf(id);
    if (kind === 'constant') return constantOf(steps[made], made, constants);
    return kind === 'pixels' ? 'pixels' : kind === 'out' ? outAt(offset) : `AT(${offset})`;
  };
  const isBlock = (id: number): boolean => places[id].kind === 'block';
  /** Value id from row r on, in rows of `length` elements. */
  const row = (id: number, length: number): string => {
    const { kind, offset } = places[id];
    const bytes = length * bytesOf(values[id].out.type);
    if (kind === 'block') return `AT(${offset})`;
    if (kind === 'constant' || kind === 'out' || kind === 'pixels') return `${base(id)} + (size_t)r * ${length}u`;
    return `AT(${offset} + (size_t)r * ${bytes}u)`;
  };
  const scale = (id: number, isWhole: boolean): string => {
    if (values[id].out.type !== 'rows') return 'NULL';
    const { scaleOffset } = places[id];
    return isWhole || isBlock(id) ? `AT(${scaleOffset})` : `AT(${scaleOffset} + (size_t)r * 4u)`;
  };
  return {
    operands: operands.map((id) => values[id]),
    self: `&op_${step}`,
    x: (i, length) => row(operands[i], length),
    whole: (i) => base(operands[i]),
    isBlock: (i) => isBlock(operands[i]),
    xScale: (i) => scale(operands[i], false),
    wholeScale: (i) => scale(operands[i], true),
    out: row(out, values[out].cols),
    scale: scale(out, false),
    scratch: `AT(${plan.scratch[step]})`,
    kept: `AT(${plan.kept[step]})`,
  };
}

function constantOf(step: Step, index: number, constants: Constants): string {
  if (step.op?.op !== 'constant') throw new Error('a constant is made by a constant op');
  return constants.add(`${index}_data`, step.op.data);
}
