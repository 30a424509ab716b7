import { asList, isObject, type Json } from '../../../document/json';
import { mebibytes } from '../../../form/quantity';

const figure = (text: string): Json => (/^\d+$/u.test(text) ? Number(text) : text);

/** Reads the rows that hold without any, from the words of the schema: "1GiB, from 8GiB 2GiB". */
export const defaultRows = (text: string): Json =>
  text.split(', ').flatMap((row) => {
    const found = /^(?:from (\S+) )?(\S+)$/u.exec(row);
    if (found?.[2] === undefined) return [];
    return [{ guest: figure(found[2]), ...(found[1] !== undefined && { host: figure(found[1]) }) }];
  });

/** Returns the size of a value of a row: memory in MiB, or a number as it is. */
const amount = (value: Json | undefined): number | undefined =>
  typeof value === 'number' ? value : typeof value === 'string' ? mebibytes(value) : undefined;

/**
 * Returns what a guest gets on a host of some size, and the place of the row
 * that says so: the last whose host is not larger, the first on all smaller ones.
 * undefined: there is no row.
 */
export function rowFor(rows: Json | undefined, host: number): { guest: Json; row: number } | undefined {
  const list = asList(rows).map((r) => (isObject(r) ? r : {}));
  const row = list.findLastIndex((r, i) => i === 0 || (amount(r['host']) ?? 0) <= host);
  const guest = list[row]?.['guest'];
  return guest === undefined ? undefined : { guest, row };
}
