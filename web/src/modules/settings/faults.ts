import { asProblem, Problem } from '../../api/problem';

/** What is wrong with one field, found before the server was asked. */
export const fault = (path: string, message: string): Problem =>
  new Problem({ title: 'The values are not right yet', status: 0, kind: 'invalid', fields: [{ path, message }] });

/** That something exists already concerns a field, though the server names none: it lands there, in these words. */
export async function unlessExists<T>(path: string, message: string, asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (thrown) {
    const problem = asProblem(thrown);
    if (problem.kind !== 'exists') throw thrown;
    throw new Problem({ ...problem.document, fields: [{ path, message }] }, { cause: thrown });
  }
}

/** Reads a whole number that somebody entered. Throws what is wrong with it, at its field. */
export function wholeNumber(text: string, path: string, least: number, most: number): number {
  const n = Number(text);
  if (text.trim() === '' || !Number.isInteger(n) || n < least || n > most) {
    throw fault(path, `must be a whole number from ${least} to ${most.toLocaleString('en')}`);
  }
  return n;
}

/** When a day that somebody chose begins (UTC), as the API takes it. Throws when that has been. */
export function future(day: string, path: string, now: number): string | undefined {
  if (day === '') return undefined;
  const at = new Date(day);
  if (Number.isNaN(at.getTime())) throw fault(path, 'is not a date');
  if (at.getTime() <= now) throw fault(path, 'must be in the future; to shut somebody out at once, disable them');
  return at.toISOString();
}

/** A public key of Ed25519 in base64. */
const key32 = /^[A-Za-z0-9+/]{43}=$/u;

/** Reads a public key that somebody entered. Throws what is wrong with it, at its field. */
export function publicKey(text: string, path: string): string {
  const key = text.trim();
  if (!key32.test(key)) throw fault(path, 'is not an Ed25519 public key: expected 32 bytes in base64');
  return key;
}
