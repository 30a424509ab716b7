import type { components } from './schema';

/** One wrong field: its path as the server writes it, spec.machine.image.name or grants[2].principal. */
export type FieldError = components['schemas']['FieldError'];

/** What a problem document says (RFC 9457, and what the server adds to it). */
export type ProblemDocument = components['schemas']['Problem'];

/** Why the server refused, or could not be asked. */
export class Problem extends Error {
  readonly document: ProblemDocument;

  constructor(document: ProblemDocument, options?: ErrorOptions) {
    super(document.detail ?? document.title, options);
    this.name = 'Problem';
    this.document = document;
  }

  /** The kind of the error in one word: invalid, conflict, not-found, ...; unreachable without an answer. */
  get kind(): string {
    return this.document.kind ?? '';
  }

  get fields(): FieldError[] {
    return this.document.fields ?? [];
  }
}

/** Reads why the server refused. */
export async function problemOf(answer: Response): Promise<Problem> {
  try {
    return new Problem((await answer.json()) as ProblemDocument);
  } catch {
    return new Problem({ title: `The server answered ${answer.status}`, status: answer.status, kind: 'internal' });
  }
}

/** What is said when the server could not be asked at all. */
export const unreachable = (cause: unknown): Problem =>
  new Problem(
    {
      title: 'The server does not answer',
      detail: 'The server does not answer. Look at the network; what you entered is kept.',
      status: 0,
      kind: 'unreachable',
    },
    { cause },
  );

/** Whatever was thrown, as a problem that can be shown. */
export const asProblem = (thrown: unknown): Problem =>
  thrown instanceof Problem
    ? thrown
    : new Problem(
        { title: 'The console failed', detail: String(thrown), status: 0, kind: 'console' },
        { cause: thrown },
      );

/** What a detail says that its title does not say already; empty: nothing. */
export function beyond(title: string, detail = ''): string {
  if (!detail.toLowerCase().startsWith(title.toLowerCase())) return detail;
  const rest = detail.slice(title.length);
  // A longer word that begins alike is none of the title.
  return /^\p{L}/u.test(rest) ? detail : rest.replace(/^[.:;,\s]+/u, '');
}
