/** Riemann's zeta function for s > 1: the first terms and the Euler-Maclaurin remainder, exact to 12 digits. */
export const zeta = (s: number): number => {
  const terms = 50;
  let sum = 0;
  for (let k = 1; k < terms; k++) sum += k ** -s;
  const n = terms;
  return (
    sum +
    n ** (1 - s) / (s - 1) +
    n ** -s / 2 +
    (s * n ** (-s - 1)) / 12 -
    (s * (s + 1) * (s + 2) * n ** (-s - 3)) / 720
  );
};
