import { useEffect, useState } from 'react';
import { asProblem, type FieldError } from '../../api/problem';
import { useLater } from '../../app/later';
import type { Json } from '../../document/json';
import { validate } from './calls';

/** How long somebody has to type no more before the server is asked, in milliseconds. */
const pause = 500;

/** What the server says of a document that is being edited. */
export interface Validation {
  errors: FieldError[];
  warnings: FieldError[];
  /** Why the document could not be looked at; undefined: it was. */
  unchecked?: string | undefined;
  /** The document that this is about. */
  of?: Json;
}

const nothing: Validation = { errors: [], warnings: [] };

/** Asks the server what it thinks of a document, whenever it has not changed for a moment. */
export function useValidation(document: Json): [Validation, (found: Validation) => void] {
  const [found, setFound] = useState<Validation>(nothing);
  const rested = useLater(document, pause);
  useEffect(() => {
    const abort = new AbortController();
    const ask = async () => {
      try {
        setFound({ errors: [], warnings: await validate(rested, abort.signal), of: rested });
      } catch (thrown) {
        if (abort.signal.aborted) return;
        const problem = asProblem(thrown);
        if (problem.fields.length > 0) setFound({ errors: problem.fields, warnings: [], of: rested });
        else setFound((was) => ({ ...was, unchecked: problem.message }));
      }
    };
    void ask();
    return () => abort.abort();
  }, [rested]);
  return [found, setFound];
}
