/**
 * The instructions in a WebAssembly module's code, by name, with their counts. Walks the code section of the binary
 * format (WebAssembly 2.0 with SIMD and bulk memory, and the relaxed SIMD range); throws at an opcode it does not know,
 * so nothing can slip past.
 */
export function instructionsOf(module: Uint8Array): Map<string, number> {
  const reader = new Reader(module, 8);
  const counts = new Map<string, number>();
  while (!reader.atEnd()) {
    const id = reader.byte();
    const size = reader.leb();
    const end = reader.at + size;
    if (id === 10) readCode(reader, counts);
    reader.at = end;
  }
  return counts;
}

class Reader {
  constructor(
    private readonly bytes: Uint8Array,
    public at: number,
  ) {}

  atEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  byte(): number {
    return this.bytes[this.at++];
  }

  /** An unsigned LEB128 number; a signed one is skipped by the same bytes. */
  leb(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  skip(count: number): void {
    this.at += count;
  }
}

function readCode(reader: Reader, counts: Map<string, number>): void {
  const functions = reader.leb();
  for (let f = 0; f < functions; f++) {
    const size = reader.leb();
    const end = reader.at + size;
    const groups = reader.leb();
    for (let g = 0; g < groups; g++) {
      reader.leb();
      reader.byte();
    }
    while (reader.at < end) {
      const name = readInstruction(reader);
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    if (reader.at !== end) throw new Error(`Function ${f} was not decoded to its end`);
  }
}

type Immediates = 'none' | 'index' | 'indices' | 'block' | 'memory' | 'f32' | 'f64' | 'table';

/** Name and immediates of the opcodes 0x00 to 0xc4. */
const PLAIN = plainOpcodes();

function readInstruction(reader: Reader): string {
  const opcode = reader.byte();
  if (opcode === 0xfc) return readBulk(reader);
  if (opcode === 0xfd) return readVector(reader);
  const known = PLAIN.get(opcode);
  if (known === undefined) throw new Error(`Unknown opcode 0x${opcode.toString(16)} at byte ${reader.at - 1}`);
  skipImmediates(reader, known.immediates);
  return known.name;
}

function skipImmediates(reader: Reader, immediates: Immediates): void {
  switch (immediates) {
    case 'none':
      return;
    case 'index':
    case 'block': // a value type, or the index of a function type
      reader.leb();
      return;
    case 'indices':
    case 'memory': // alignment and offset
      reader.leb();
      reader.leb();
      return;
    case 'f32':
      return reader.skip(4);
    case 'f64':
      return reader.skip(8);
    case 'table':
      for (let left = reader.leb() + 1; left > 0; left--) reader.leb();
  }
}

/** Saturating truncation of floats (0 to 7), then memory and table operations. */
function readBulk(reader: Reader): string {
  const opcode = reader.leb();
  if (opcode < 8) return `trunc_sat_f${opcode & 2 ? 64 : 32}`;
  const operands = [2, 1, 2, 1, 2, 1, 2, 1, 1, 1][opcode - 8];
  if (operands === undefined) throw new Error(`Unknown opcode 0xfc ${opcode}`);
  for (let i = 0; i < operands; i++) reader.leb();
  return `bulk.${opcode}`;
}

function readVector(reader: Reader): string {
  const opcode = reader.leb();
  if (opcode <= 11 || opcode === 92 || opcode === 93) skipImmediates(reader, 'memory');
  else if (opcode === 12 || opcode === 13) reader.skip(16);
  else if (opcode >= 21 && opcode <= 34) reader.skip(1);
  else if (opcode >= 84 && opcode <= 91) {
    skipImmediates(reader, 'memory');
    reader.skip(1);
  }
  return vectorName(opcode);
}

/** Where floats are among the vector opcodes, by the tables of the specification; the integers' names matter little. */
function vectorName(opcode: number): string {
  const within = (lo: number, hi: number) => opcode >= lo && opcode <= hi;
  if (
    opcode === 19 ||
    within(31, 32) ||
    within(65, 70) ||
    opcode === 103 ||
    opcode === 104 ||
    opcode === 105 ||
    opcode === 106 ||
    within(224, 235)
  )
    return `f32x4.${opcode}`;
  if (
    opcode === 20 ||
    within(33, 34) ||
    within(71, 76) ||
    opcode === 116 ||
    opcode === 117 ||
    opcode === 122 ||
    opcode === 148 ||
    within(236, 247)
  )
    return `f64x2.${opcode}`;
  if (within(94, 95) || within(248, 255)) return `f32 or f64 conversion.${opcode}`;
  if (opcode === 186) return 'i32x4.dot_i16x8_s';
  if (within(0x101, 0x108) || within(0x10d, 0x110)) return `relaxed f32 or f64.${opcode}`;
  if (opcode === 0x113) return 'i32x4.relaxed_dot_i8x16_i7x16_add_s';
  if (within(0x100, 0x112)) return `relaxed.${opcode}`;
  if (opcode > 0x113) throw new Error(`Unknown vector opcode ${opcode}`);
  return `v128.${opcode}`;
}

function plainOpcodes(): Map<number, { name: string; immediates: Immediates }> {
  const table = new Map<number, { name: string; immediates: Immediates }>();
  const add = (opcode: number, names: string, immediates: Immediates = 'none') =>
    names.split(' ').forEach((name, i) => table.set(opcode + i, { name, immediates }));
  add(0x00, 'unreachable nop');
  add(0x02, 'block loop if', 'block');
  add(0x05, 'else');
  add(0x0b, 'end');
  add(0x0c, 'br br_if', 'index');
  add(0x0e, 'br_table', 'table');
  add(0x0f, 'return');
  add(0x10, 'call', 'index');
  add(0x11, 'call_indirect', 'indices');
  add(0x1a, 'drop select');
  add(0x20, 'local.get local.set local.tee global.get global.set', 'index');
  add(0x28, 'i32.load i64.load f32.load f64.load', 'memory');
  add(0x2c, 'i32.load8_s i32.load8_u i32.load16_s i32.load16_u', 'memory');
  add(0x30, 'i64.load8_s i64.load8_u i64.load16_s i64.load16_u i64.load32_s i64.load32_u', 'memory');
  add(0x36, 'i32.store i64.store f32.store f64.store', 'memory');
  add(0x3a, 'i32.store8 i32.store16 i64.store8 i64.store16 i64.store32', 'memory');
  add(0x3f, 'memory.size memory.grow', 'index');
  add(0x41, 'i32.const i64.const', 'index');
  add(0x43, 'f32.const', 'f32');
  add(0x44, 'f64.const', 'f64');
  for (let opcode = 0x45; opcode <= 0x5a; opcode++) add(opcode, `${opcode < 0x50 ? 'i32' : 'i64'}.compare_${opcode}`);
  for (let opcode = 0x5b; opcode <= 0x66; opcode++) add(opcode, `${opcode < 0x61 ? 'f32' : 'f64'}.compare_${opcode}`);
  for (let opcode = 0x67; opcode <= 0x8a; opcode++)
    add(opcode, `${opcode < 0x79 ? 'i32' : 'i64'}.arithmetic_${opcode}`);
  for (let opcode = 0x8b; opcode <= 0xa6; opcode++)
    add(opcode, opcode === 0x92 ? 'f32.add' : `${opcode < 0x99 ? 'f32' : 'f64'}.arithmetic_${opcode}`);
  for (let opcode = 0xa7; opcode <= 0xbf; opcode++) {
    const isInteger = opcode === 0xa7 || opcode === 0xac || opcode === 0xad;
    add(opcode, isInteger ? `integer.conversion_${opcode}` : `conversion of f32 or f64_${opcode}`);
  }
  add(0xc0, 'i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s');
  return table;
}
