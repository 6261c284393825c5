/** Lengths of longest common subsequences of all prefixes, (|a| + 1) x (|b| + 1) row-major. */
export const commonLengths = (a: readonly string[], b: readonly string[]): Int32Array => {
  const width = b.length + 1;
  const lengths = new Int32Array((a.length + 1) * width);
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      lengths[i * width + j] =
        a[i - 1] === b[j - 1]
          ? lengths[(i - 1) * width + j - 1]! + 1
          : Math.max(lengths[(i - 1) * width + j]!, lengths[i * width + j - 1]!);
    }
  }
  return lengths;
};
