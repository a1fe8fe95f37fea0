/** The 97.5 % quantile of the standard normal distribution. */
const Z = 1.959963984540054;

/** A 95 % confidence interval, as shares. */
export type Interval = readonly [low: number, high: number];

/**
 * Wilson's score interval at 95 % for a share of `right` among `images`: it holds for few images and near 0 and 1 too
 * (Wilson, "Probable inference, the law of succession, and statistical inference", 1927).
 */
export function wilsonInterval(right: number, images: number): Interval {
  const share = right / images;
  const z2 = Z * Z;
  const centre = (share + z2 / (2 * images)) / (1 + z2 / images);
  const half = (Z / (1 + z2 / images)) * Math.sqrt((share * (1 - share)) / images + z2 / (4 * images * images));
  // At the ends, the exact bound is 0 or 1, which rounding may miss.
  return [right === 0 ? 0 : centre - half, right === images ? 1 : centre + half];
}
