/** Numbers as people read them: on a terminal, and on the page. */

export function percent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`;
}

export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, count)) / 3)));
  const value = count / 1000 ** power;
  return `${power === 0 ? value : value.toFixed(value < 100 ? 1 : 0)} ${units[power]}`;
}

/** 5717416 → `5.7 M`. */
export function large(count: number): string {
  if (count < 1e3) return String(count);
  const [power, unit] = count < 1e6 ? [1e3, 'k'] : count < 1e9 ? [1e6, 'M'] : [1e9, 'G'];
  const value = count / (power as number);
  return `${value.toFixed(value < 100 ? 1 : 0)} ${unit}`;
}

export function seconds(value: number): string {
  if (value < 59.95) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

export function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 1)} ms`;
}

/** A ratio in dB; `–` where there is none, or it is that of nothing to nothing. */
export function decibels(value: number | null): string {
  if (value === null || Number.isNaN(value)) return '–';
  return Number.isFinite(value) ? value.toFixed(1) : value > 0 ? '∞' : '-∞';
}

/** The most telling digits of a small number. */
export function significant(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : '∞';
}
