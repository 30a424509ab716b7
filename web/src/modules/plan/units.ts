import { inUnits } from '../../components/format';

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Bytes as the design document writes them, by thousands: 36.2 GB. */
export const sized = (bytes: number): string => inUnits(bytes, 1000, units, () => ({ maximumSignificantDigits: 3 }));

const steps: [string, number][] = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1],
];

/** A length of time in seconds as people read it, in two units at most: 14 h 53 min. */
export function lasting(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  let left = Math.round(seconds);
  const out: string[] = [];
  for (const [unit, length] of steps) {
    const n = Math.floor(left / length);
    if (n > 0 || (out.length > 0 && left > 0)) out.push(`${n} ${unit}`);
    left -= n * length;
    if (out.length === 2) break;
  }
  return out.filter((o) => !o.startsWith('0 ')).join(' ') || '0 s';
}
