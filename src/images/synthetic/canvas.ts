/** What a scene is painted on, and with which colours. */
import type { Random } from '../random.js';

export type Color = readonly [number, number, number];

/** Pixels before their tones are set: display values, about 0 to 1, three per pixel. */
export class Canvas {
  readonly data: Float32Array;
  /** The length that sizes are relative to. */
  readonly scale: number;

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.data = new Float32Array(3 * width * height);
    this.scale = Math.min(width, height);
  }
}

/** Colours of one scene: a common cast, few hues, brightness varying far more than colour, as in nature. */
export class Palette {
  private readonly hues: Color[];

  constructor(private readonly random: Random) {
    const cast = add(this.chroma(0.05), [0.035, 0.005, -0.04]);
    const strength = random.between(0.02, 0.16) * (random.uniform() < 0.25 ? 2 : 1);
    this.hues = Array.from({ length: 2 + random.integer(4) }, () => add(cast, this.chroma(strength)));
  }

  color(): Color {
    const hue = this.hues[this.random.integer(this.hues.length)]!;
    return add(hue, this.gray());
  }

  gray(): Color {
    const value = 0.5 + 0.27 * this.random.normal();
    return [value, value, value];
  }

  /** A step along blue to yellow, the main axis of natural colour, and a smaller one along green to magenta. */
  private chroma(strength: number): Color {
    const warm = strength * this.random.normal();
    const green = 0.45 * strength * this.random.normal();
    return [warm + 0.5 * green, -green, -warm + 0.5 * green];
  }
}

export function add(a: Color, b: Color): Color {
  return [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
}

/** A uniformly random unit vector, without a sine: a point of the disc, brought to the circle. */
export function direction(random: Random): [number, number] {
  for (;;) {
    const x = random.between(-1, 1);
    const y = random.between(-1, 1);
    const square = x * x + y * y;
    if (square > 0.01 && square <= 1) return [x / Math.sqrt(square), y / Math.sqrt(square)];
  }
}
