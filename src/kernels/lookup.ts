/**
 * A function of one i16 number x by its table of 257 entries, which lie 256 steps apart, with straight lines between
 * them:
 *
 *     u = x + 2^15,  i = u >> 8,  f = u & 255
 *     v = table[i] + (((table[i+1] − table[i])·f + 128) >> 8)
 *
 * @param table entries within ±2^21: the product then stays below 2^30
 */
export function lookUp(x: number, table: Int32Array): number {
  const u = x + 32768;
  const i = u >> 8;
  return table[i] + (((table[i + 1] - table[i]) * (u & 255) + 128) >> 8);
}
