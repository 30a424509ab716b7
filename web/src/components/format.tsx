import { Timestamp, TimestampTooltipVariant } from '@patternfly/react-core';
import { useZone } from '../app/zone';

/** A number in the largest of some units, each so many times the one before, that leaves it at one and more. */
export function inUnits(
  n: number,
  times: number,
  units: string[],
  digits: (value: number, unit: number) => Intl.NumberFormatOptions,
): string {
  let value = n;
  let unit = 0;
  while (Math.abs(value) >= times && unit < units.length - 1) {
    value /= times;
    unit += 1;
  }
  return `${value.toLocaleString('en', digits(value, unit))} ${units[unit] ?? ''}`;
}

const binary = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** A number of bytes as people read it: 1.5 GiB. */
export const bytes = (n: number): string =>
  inUnits(n, 1024, binary, (value, unit) => ({ maximumFractionDigits: value < 10 && unit > 0 ? 1 : 0 }));

/** A part of a whole as people read it: 75 %. All of it is only what lacks nothing. */
export const part = (of: number, whole: number): string =>
  whole <= 0 ? 'nothing' : `${Math.floor((100 * of) / whole)} %`;

/** A whole number with separators: 12,400. */
export const count = (n: number): string => n.toLocaleString('en');

/** A number and the word for it: 1 version, 2 versions. */
export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;

/** A point in time in the operator's time zone; the exact one when asked for. */
export function Time({ at }: { at: string }) {
  const { zone } = useZone();
  const date = new Date(at);
  return (
    <Timestamp className="dormer-time" date={date} tooltip={{ variant: TimestampTooltipVariant.custom, content: at }}>
      {date.toLocaleString('en-GB', { timeZone: zone, dateStyle: 'medium', timeStyle: 'short' })}
    </Timestamp>
  );
}

const steps: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
];

/** How long ago something was, as "3 minutes ago". */
export function ago(at: string, now: number = Date.now()): string {
  const seconds = (new Date(at).getTime() - now) / 1000;
  const format = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
  for (const [unit, length] of steps) {
    if (Math.abs(seconds) >= length || unit === 'second') return format.format(Math.round(seconds / length), unit);
  }
  return format.format(0, 'second');
}
