/**
 * Standard normal distribution function, relative error below 1e-12 for |x| <= 8.
 *
 * Series around 0 for |x| < 5 in the middle, Laplace's continued fraction in the tails (Abramowitz & Stegun 26.2.11 and 26.2.14).
 */
export const normalCdf = (x: number): number => {
  if (Number.isNaN(x)) return Number.NaN;
  if (Math.abs(x) > 38) return x > 0 ? 1 : 0;
  const density = Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
  if (Math.abs(x) < 3) {
    let term = x;
    let total = x;
    for (let k = 1; Math.abs(term) > 1e-17 * Math.abs(total) && k < 200; k++) {
      term *= (x * x) / (2 * k + 1);
      total += term;
    }
    return 0.5 + density * total;
  }
  const t = Math.abs(x);
  let fraction = t;
  for (let k = 120; k >= 1; k--) fraction = t + k / fraction;
  const tail = density / fraction;
  return x > 0 ? 1 - tail : tail;
};

/** Inverse of `normalCdf`: bisection to a bracket, then Newton steps. ±Infinity at 0 and 1. */
export const normalQuantile = (p: number): number => {
  if (!(p >= 0 && p <= 1)) return Number.NaN;
  if (p === 0) return Number.NEGATIVE_INFINITY;
  if (p === 1) return Number.POSITIVE_INFINITY;
  let low = -38;
  let high = 38;
  let x = 0;
  for (let i = 0; i < 100 && high - low > 1e-14 * Math.max(1, Math.abs(x)); i++) {
    const excess = normalCdf(x) - p;
    if (excess === 0) return x;
    if (excess > 0) high = x;
    else low = x;
    const slope = Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
    const newton = x - excess / slope;
    x = newton > low && newton < high ? newton : 0.5 * (low + high);
  }
  return x;
};
