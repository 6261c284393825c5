export interface Scale {
  at(value: number): number;
  readonly ticks: readonly number[];
}

/** From values to places with some air at both ends; logarithmic for bytes, which span octaves. */
export const scaleOf = (values: readonly number[], from: number, to: number, isLog: boolean): Scale => {
  const positive = values.every((value) => value > 0);
  const map = isLog && positive ? Math.log2 : (value: number) => value;
  const mapped = values.map(map);
  const [least, most] = [Math.min(...mapped), Math.max(...mapped)];
  const air = most > least ? 0.06 * (most - least) : Math.max(0.05, Math.abs(most) * 0.1);
  const [low, high] = [least - air, most + air];
  const at = (value: number): number => from + ((map(value) - low) / (high - low)) * (to - from);
  return { at, ticks: isLog && positive ? octaveTicks(low, high) : roundTicks(low, high) };
};

const octaveTicks = (low: number, high: number): number[] => {
  const step = Math.max(1, Math.ceil((high - low) / 8));
  const powers: number[] = [];
  for (let power = Math.ceil(low); power <= high; power++) if (power % step === 0) powers.push(2 ** power);
  return powers.length >= 2 ? powers : roundTicks(2 ** low, 2 ** high);
};

const roundTicks = (low: number, high: number): number[] => {
  const raw = (high - low) / 6;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((times) => times * power).find((candidate) => candidate >= raw)!;
  const ticks: number[] = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) ticks.push(i * step);
  return ticks;
};
