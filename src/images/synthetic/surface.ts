/** What shapes look like: colours, texture and shading. */
import type { Random } from '../random.js';
import { add, direction } from './canvas.js';
import type { Color, Palette } from './canvas.js';
import { TILE } from './noise.js';

const PLAIN = 0;
const GRAIN = 1;
const STRIPES = 2;
const SPOTS = 3;

/** What a shape looks like: two colours, mixed by a texture, and brightness that runs along a direction. */
export interface Surface {
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

export function makeSurface(
  palette: Palette,
  textures: readonly Float32Array[],
  random: Random,
  radius: number,
): Surface {
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

/** The texture at a pixel: 0 is the surface's colour, 1 its other. */
export function textureAt(surface: Surface, x: number, y: number): number {
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
