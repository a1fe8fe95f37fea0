/**
 * Synthetic photographs, to calibrate on when there are no images: a background of 1/f noise and a gradient, dead leaves
 * (overlapping shapes whose sizes follow a power law, each with its own colour, shading and texture), blur, strokes, a few
 * larger figures in front, and the tones, contrast and colours of natural images.
 *
 * Dead leaves have the edges, occlusion and scaling of natural images: Lee, Mumford and Huang, "Occlusion models for natural
 * images", IJCV 2001; Baradad et al., "Learning to see by looking at noise", NeurIPS 2021, train networks on such images.
 * Exposure, contrast and the strength of colour are set after the statistics of photographs.
 *
 * Nothing but + − × ÷ and square roots makes the pixels, so a seed gives the same image on every machine.
 */
import type { RgbImage } from './image.js';
import { Random } from './random.js';

/**
 * One synthetic photograph of `width` × `height` pixels; every seed gives another. The order is that of a camera: what is
 * far, what is out of focus, what is near, then the exposure.
 */
export function syntheticImage(width: number, height: number, seed: number): RgbImage {
  const random = new Random(seed);
  const canvas = new Canvas(width, height);
  const palette = new Palette(random);
  const textures = Array.from({ length: 3 }, () => noiseTile(random, random.between(0.65, 1.1)));

  paintBackground(canvas, palette, textures, random);
  if (random.uniform() < 0.85) paintLeaves(canvas, palette, textures, random);
  if (random.uniform() < 0.3) blur(canvas, 1 + random.integer(Math.max(1, canvas.scale >> 5)));
  if (random.uniform() < 0.35) paintStrokes(canvas, palette, textures, random);
  if (random.uniform() < 0.75) paintFigures(canvas, palette, textures, random);
  return develop(canvas, random);
}

type Color = readonly [number, number, number];

/** Pixels before their tones are set: display values, about 0 to 1, three per pixel. */
class Canvas {
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
class Palette {
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

function add(a: Color, b: Color): Color {
  return [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
}

// ---- noise ----

/** The edge of a noise tile, a power of two: coordinates wrap by masking. */
const TILE = 256;

/**
 * A tile of noise with mean 0 and variance 1 that repeats seamlessly: white noise on grids of 2, 4, … 256, each smoothly
 * upsampled and added to the next. `decay` is the ratio of amplitudes from octave to octave: 1 gives a 1/f² power spectrum,
 * as natural images have; ½ gives clouds.
 */
function noiseTile(random: Random, decay: number): Float32Array {
  let tile: Float32Array = new Float32Array(1);
  let amplitude = 1;
  for (let edge = 2; edge <= TILE; edge *= 2) {
    tile = upsample(tile, edge >> 1);
    let bits = 0;
    for (let i = 0; i < tile.length; i++) {
      // A byte is fine enough: four of them to a draw.
      bits = (i & 3) === 0 ? random.uint32() : bits >>> 8;
      tile[i] += amplitude * ((bits & 255) - 127.5);
    }
    amplitude *= decay;
  }
  let sum = 0;
  let squares = 0;
  for (const value of tile) {
    sum += value;
    squares += value * value;
  }
  const mean = sum / tile.length;
  const factor = 1 / Math.sqrt(squares / tile.length - mean * mean);
  for (let i = 0; i < tile.length; i++) tile[i] = (tile[i]! - mean) * factor;
  return tile;
}

/** Twice as many samples each way, by the weights ¾ and ¼ of bilinear interpolation, wrapping around. */
function upsample(tile: Float32Array, edge: number): Float32Array {
  const out = new Float32Array(4 * tile.length);
  const mask = edge - 1;
  for (let y = 0; y < 2 * edge; y++) {
    const near = edge * (y >> 1);
    const far = edge * (((y >> 1) + (y & 1 ? 1 : -1)) & mask);
    for (let x = 0; x < edge; x++) {
      const left = (x - 1) & mask;
      const right = (x + 1) & mask;
      const middle = 0.75 * tile[near + x]! + 0.25 * tile[far + x]!;
      out[2 * edge * y + 2 * x] = 0.75 * middle + 0.25 * (0.75 * tile[near + left]! + 0.25 * tile[far + left]!);
      out[2 * edge * y + 2 * x + 1] = 0.75 * middle + 0.25 * (0.75 * tile[near + right]! + 0.25 * tile[far + right]!);
    }
  }
  return out;
}

// ---- surfaces ----

const PLAIN = 0;
const GRAIN = 1;
const STRIPES = 2;
const SPOTS = 3;

/** What a shape looks like: two colours, mixed by a texture, and brightness that runs along a direction. */
interface Surface {
  readonly color: Color;
  readonly other: Color;
  readonly texture: Float32Array;
  readonly kind: number;
  /** Texture coordinates, u along and v across the grain: linear in the pixel's. */
  readonly ux: number;
  readonly uy: number;
  readonly vx: number;
  readonly vy: number;
  readonly u0: number;
  readonly v0: number;
  /** How far the texture goes from one colour to the other. */
  readonly contrast: number;
  /** Brightness per pixel, from 0 in the middle of the shape. */
  readonly shadeX: number;
  readonly shadeY: number;
}

function makeSurface(palette: Palette, textures: readonly Float32Array[], random: Random, radius: number): Surface {
  const color = palette.color();
  const [cos, sin] = direction(random);
  const kind = random.uniform();
  // Zoom spreads over octaves; a stretched grain is hair, grass, wood or water.
  const zoom = (1 << random.integer(3)) * random.between(0.5, 1);
  const stretch = random.uniform() < 0.6 ? random.between(3, 10) : 1;
  const frequency = 1 / random.between(3, Math.max(6, radius));
  const isStriped = kind > 0.8 && kind <= 0.9;
  const along = isStriped ? frequency : zoom / stretch;
  const across = isStriped ? frequency : zoom;
  const [shadeX, shadeY] = direction(random);
  const shade = (0.25 * random.uniform()) / radius;
  return {
    color,
    other: random.uniform() < 0.7 ? add(color, shift(0.35 * random.normal())) : palette.color(),
    texture: textures[random.integer(textures.length)]!,
    kind: kind < 0.2 ? PLAIN : kind <= 0.8 ? GRAIN : isStriped ? STRIPES : SPOTS,
    ux: along * cos,
    uy: along * sin,
    vx: -across * sin,
    vy: across * cos,
    u0: random.between(0, TILE),
    v0: random.between(0, TILE),
    contrast: random.between(0.1, 1),
    shadeX: shade * shadeX,
    shadeY: shade * shadeY,
  };
}

function shift(by: number): Color {
  return [by, by, by];
}

/** A uniformly random unit vector, without a sine: a point of the disc, brought to the circle. */
function direction(random: Random): [number, number] {
  for (;;) {
    const x = random.between(-1, 1);
    const y = random.between(-1, 1);
    const square = x * x + y * y;
    if (square > 0.01 && square <= 1) return [x / Math.sqrt(square), y / Math.sqrt(square)];
  }
}

/** The texture at a pixel: 0 is the surface's colour, 1 its other. */
function textureAt(surface: Surface, x: number, y: number): number {
  if (surface.kind === PLAIN) return 0;
  const u = surface.u0 + surface.ux * x + surface.uy * y;
  const v = surface.v0 + surface.vx * x + surface.vy * y;
  if (surface.kind === STRIPES) {
    const phase = u - Math.floor(u);
    return 2 * Math.abs(2 * phase - 1) - 1;
  }
  const noise = surface.texture[(Math.floor(v) & (TILE - 1)) * TILE + (Math.floor(u) & (TILE - 1))]!;
  if (surface.kind === GRAIN) return noise;
  return noise > 0.5 ? 1 : noise < 0.2 ? 0 : (noise - 0.2) / 0.3;
}

// ---- shapes ----

const ELLIPSE = 0;
const BOX = 1;
const DIAMOND = 2;
const WEDGE = 3;

interface Shape {
  readonly kind: number;
  readonly x: number;
  readonly y: number;
  /** Half lengths along the shape's own axes. */
  readonly ru: number;
  readonly rv: number;
  readonly cos: number;
  readonly sin: number;
  /** Width of the edge in pixels: 1 is sharp, more is out of focus. */
  readonly softness: number;
  /** How round it looks: the brightness lost at the edge. */
  readonly bulge: number;
}

/** Paints a shape over what is there. */
function paint(canvas: Canvas, shape: Shape, surface: Surface): void {
  const { data, width, height } = canvas;
  const { x: cx, y: cy, ru, rv, cos, sin, kind, softness, bulge } = shape;
  const { color, other, contrast, shadeX, shadeY } = surface;
  const sharpness = Math.min(ru, rv) / softness;
  // How far outside its box |u|, |v| ≤ 1 a shape's soft edge can reach.
  const margin = 1 + 0.75 / sharpness;
  const reachX = margin * (Math.abs(cos) * ru + Math.abs(sin) * rv);
  const reachY = margin * (Math.abs(sin) * ru + Math.abs(cos) * rv);
  const top = Math.max(0, Math.ceil(cy - reachY));
  const bottom = Math.min(height - 1, Math.floor(cy + reachY));
  const left = Math.max(0, Math.ceil(cx - reachX));
  const right = Math.min(width - 1, Math.floor(cx + reachX));
  const diff0 = other[0] - color[0];
  const diff1 = other[1] - color[1];
  const diff2 = other[2] - color[2];
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const dx = x - cx;
      const dy = y - cy;
      const u = (dx * cos + dy * sin) / ru;
      const v = (dy * cos - dx * sin) / rv;
      const inside = insideness(kind, u, v);
      const cover = Math.min(1, sharpness * inside + 0.5);
      if (cover <= 0) continue;
      const mix = contrast * textureAt(surface, x, y);
      const shade = shadeX * dx + shadeY * dy - bulge * (u * u + v * v);
      const i = 3 * (y * width + x);
      data[i] += cover * (color[0] + mix * diff0 + shade - data[i]!);
      data[i + 1] += cover * (color[1] + mix * diff1 + shade - data[i + 1]!);
      data[i + 2] += cover * (color[2] + mix * diff2 + shade - data[i + 2]!);
    }
  }
}

/** 1 in the middle of a shape, 0 on its edge, negative outside; near the edge, about the distance from it. */
function insideness(kind: number, u: number, v: number): number {
  switch (kind) {
    case ELLIPSE:
      return 0.5 * (1 - u * u - v * v);
    case BOX:
      return 1 - Math.max(Math.abs(u), Math.abs(v));
    case DIAMOND:
      return 1 - Math.abs(u) - Math.abs(v);
    default:
      // A triangle: pointed at v = −1, as wide as the shape at v = 1.
      return Math.min(1 - v, 0.5 * (1 + v) - Math.abs(u));
  }
}

function makeShape(random: Random, radius: number, x: number, y: number, softness: number, roundness = 0.5): Shape {
  const kind = random.uniform() + 0.5 - roundness;
  const aspect = random.uniform() < 0.15 ? random.between(0.03, 0.2) : random.between(0.35, 1);
  const [cos, sin] = random.uniform() < 0.3 ? [1, 0] : direction(random);
  const isUpright = random.uniform() < 0.5;
  return {
    kind: kind < 0.5 ? ELLIPSE : kind < 0.8 ? BOX : kind < 0.9 ? DIAMOND : WEDGE,
    x,
    y,
    ru: Math.max(0.7, isUpright ? radius * aspect : radius),
    rv: Math.max(0.7, isUpright ? radius : radius * aspect),
    cos,
    sin,
    softness,
    bulge: random.uniform() < 0.5 ? random.between(0, 0.25) : 0,
  };
}

// ---- scenes ----

function paintBackground(canvas: Canvas, palette: Palette, textures: readonly Float32Array[], random: Random): void {
  const { data, width, height, scale } = canvas;
  const from = palette.color();
  const to = palette.color();
  const [dx, dy] = random.uniform() < 0.5 ? [0, 1] : direction(random);
  const span = Math.abs(dx) * width + Math.abs(dy) * height;
  const strength = random.uniform() * 0.3;
  const tint = palette.color();
  const [light, hue] = textures as [Float32Array, Float32Array];
  const step = (TILE / scale) * random.between(0.3, 1);
  const start = random.integer(TILE);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const along = 0.5 + ((x - width / 2) * dx + (y - height / 2) * dy) / span;
      const brightness = strength * smoothLookup(light, x * step, start + y * step);
      const tinted = 0.2 * strength * smoothLookup(hue, x * step, start + y * step);
      const i = 3 * (y * width + x);
      for (let c = 0; c < 3; c++) {
        const base = from[c]! + along * (to[c]! - from[c]!);
        data[i + c] = base + brightness + tinted * (tint[c]! - base);
      }
    }
  }
}

/** A tile between its samples, by bilinear interpolation. */
function smoothLookup(tile: Float32Array, x: number, y: number): number {
  const column = Math.floor(x);
  const row = Math.floor(y);
  const fx = x - column;
  const fy = y - row;
  const left = column & (TILE - 1);
  const right = (column + 1) & (TILE - 1);
  const above = (row & (TILE - 1)) * TILE;
  const below = ((row + 1) & (TILE - 1)) * TILE;
  const upper = tile[above + left]! + fx * (tile[above + right]! - tile[above + left]!);
  const lower = tile[below + left]! + fx * (tile[below + right]! - tile[below + left]!);
  return upper + fy * (lower - upper);
}

/** Radii with density r⁻³ between the two bounds: what makes dead leaves look the same at every scale. */
function powerLaw(random: Random, smallest: number, largest: number): number {
  const low = 1 / (largest * largest);
  const high = 1 / (smallest * smallest);
  return 1 / Math.sqrt(random.between(low, high));
}

function paintLeaves(canvas: Canvas, palette: Palette, textures: readonly Float32Array[], random: Random): void {
  const { width, height, scale } = canvas;
  const smallest = scale * random.between(0.01, 0.08);
  const largest = scale * random.between(0.15, 0.6);
  const softness = random.uniform() < 0.6 ? 1 : random.between(1, 0.03 * scale + 1);
  // The area painted, in multiples of the image's: below 1 the background shows.
  let area = random.between(0.3, 4) * width * height;
  while (area > 0) {
    const radius = powerLaw(random, smallest, Math.max(largest, smallest));
    const x = random.between(-radius, width + radius);
    const y = random.between(-radius, height + radius);
    paint(canvas, makeShape(random, radius, x, y, softness), makeSurface(palette, textures, random, radius));
    area -= 2 * radius * radius;
  }
}

/** Many thin shapes that lie much the same way: grass, hair, branches, bars. */
function paintStrokes(canvas: Canvas, palette: Palette, textures: readonly Float32Array[], random: Random): void {
  const { width, height, scale } = canvas;
  const [cos, sin] = direction(random);
  const disorder = random.uniform() * random.uniform();
  const length = scale * random.between(0.05, 0.5);
  const thickness = scale * random.between(0.003, 0.02);
  const surfaces = Array.from({ length: 4 }, () => makeSurface(palette, textures, random, length));
  const x = random.between(0, width);
  const y = random.between(0, height);
  const spread = scale * random.between(0.2, 1);
  for (let strokes = 20 + random.integer(150); strokes > 0; strokes--) {
    const [dx, dy] = direction(random);
    const along = cos + disorder * dx;
    const across = sin + disorder * dy;
    const norm = Math.sqrt(along * along + across * across);
    const shape = {
      kind: random.uniform() < 0.5 ? ELLIPSE : BOX,
      x: x + spread * random.normal(),
      y: y + spread * random.normal(),
      ru: length * random.between(0.3, 1),
      rv: Math.max(0.6, thickness * random.between(0.3, 1)),
      cos: along / norm,
      sin: across / norm,
      softness: 1,
      bulge: 0,
    };
    paint(canvas, shape, surfaces[random.integer(surfaces.length)]!);
  }
}

/** One to three figures, each of several overlapping parts with related surfaces: bodies, limbs, things. */
function paintFigures(canvas: Canvas, palette: Palette, textures: readonly Float32Array[], random: Random): void {
  const { width, height, scale } = canvas;
  for (let figures = 1 + random.integer(3); figures > 0; figures--) {
    const size = scale * random.between(0.12, 0.4);
    const x = width * random.between(0.2, 0.8);
    const y = height * random.between(0.2, 0.8);
    const skin = makeSurface(palette, textures, random, size);
    const roundness = random.uniform() < 0.6 ? 1 : 0.3;
    for (let parts = 2 + random.integer(9); parts > 0; parts--) {
      const radius = size * random.between(0.15, 0.8);
      const shape = makeShape(
        random,
        radius,
        x + 0.6 * size * random.normal(),
        y + 0.6 * size * random.normal(),
        1,
        roundness,
      );
      const detail = random.uniform() < 0.35 ? makeSurface(palette, textures, random, radius) : skin;
      paint(canvas, shape, detail);
    }
  }
}

/** Two box blurs of `radius`, roughly a Gaussian, edges repeated. */
function blur({ data, width, height }: Canvas, radius: number): void {
  const line = new Float32Array(Math.max(width, height));
  for (let pass = 0; pass < 2; pass++) {
    for (let c = 0; c < 3; c++) {
      for (let y = 0; y < height; y++) boxBlur(data, 3 * y * width + c, 3, width, radius, line);
      for (let x = 0; x < width; x++) boxBlur(data, 3 * x + c, 3 * width, height, radius, line);
    }
  }
}

function boxBlur(
  data: Float32Array,
  start: number,
  step: number,
  length: number,
  radius: number,
  line: Float32Array,
): void {
  for (let i = 0; i < length; i++) line[i] = data[start + i * step]!;
  const last = length - 1;
  const share = 1 / (2 * radius + 1);
  let sum = 0;
  for (let i = -radius; i <= radius; i++) sum += line[Math.min(last, Math.max(0, i))]!;
  for (let i = 0; i < length; i++) {
    data[start + i * step] = sum * share;
    sum += line[Math.min(last, i + radius + 1)]! - line[Math.max(0, i - radius)]!;
  }
}

/** Sets exposure and contrast as photographs have them, adds a little sensor noise, and rounds to bytes. */
function develop({ data, width, height }: Canvas, random: Random): RgbImage {
  let sum = 0;
  let squares = 0;
  for (const value of data) {
    sum += value;
    squares += value * value;
  }
  const mean = sum / data.length;
  const deviation = Math.sqrt(Math.max(1e-6, squares / data.length - mean * mean));
  const exposure = 0.46 + 0.12 * random.normal();
  const contrast = Math.max(0.06, 0.245 + 0.06 * random.normal()) / deviation;
  const noise = random.uniform() < 0.5 ? 0.02 * random.uniform() : 0;
  const bytes = new Uint8ClampedArray(data.length);
  for (let i = 0; i < data.length; i++) {
    const grain = noise === 0 ? 0 : noise * (2 * random.uniform() - 1);
    bytes[i] = 255 * (exposure + contrast * (data[i]! - mean) + grain);
  }
  return { data: new Uint8Array(bytes.buffer), width, height };
}
