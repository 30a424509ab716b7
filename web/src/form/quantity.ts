import type { Kind } from './schema';

interface Unit {
  unit: string;
  /** As people read it. */
  name: string;
}

/** The units of the kinds of values that have one, as documents write them. */
export const units: Partial<Record<Kind, Unit[]>> = {
  duration: [
    { unit: 's', name: 'seconds' },
    { unit: 'm', name: 'minutes' },
    { unit: 'h', name: 'hours' },
    { unit: 'd', name: 'days' },
  ],
  latency: [
    { unit: 'us', name: 'microseconds' },
    { unit: 'ms', name: 'milliseconds' },
    { unit: 's', name: 'seconds' },
  ],
  size: ['MiB', 'GiB', 'TiB'].map((unit) => ({ unit, name: unit })),
  rate: ['kbit/s', 'Mbit/s', 'Gbit/s'].map((unit) => ({ unit, name: unit })),
  share: [{ unit: '%', name: '%' }],
};

/** A value with a unit, as 8h. */
export interface Quantity {
  number: string;
  unit: string;
}

/** Splits a value into number and unit; undefined: it has several, as 1h30m, or none. */
export function split(text: string): Quantity | undefined {
  const found = /^([0-9]+(?:\.[0-9]+)?)([A-Za-z%][A-Za-z/%]*)$/u.exec(text);
  return found?.[1] !== undefined && found[2] !== undefined ? { number: found[1], unit: found[2] } : undefined;
}

const factors: Record<string, number> = { MiB: 1, GiB: 1024, TiB: 1024 * 1024 };

/** Returns a size in MiB; undefined: it is none. */
export function mebibytes(text: string): number | undefined {
  const quantity = split(text);
  const factor = factors[quantity?.unit ?? ''];
  return quantity && factor !== undefined ? Number(quantity.number) * factor : undefined;
}
