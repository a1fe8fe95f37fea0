/** Nanoseconds since some moment: for profiles, nothing that is computed depends on it. */
export function clock(): bigint {
  return BigInt(Math.round(performance.now() * 1e6));
}
