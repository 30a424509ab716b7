import { createContext, useContext, useEffect } from 'react';
import type { FieldError } from '../api/problem';

interface Faults {
  fields: FieldError[];
  /** Told which paths say themselves what is wrong with them. */
  setShown: (change: (paths: string[]) => string[]) => void;
}

/** What the server found wrong with the fields of a form. */
export const FaultsContext = createContext<Faults>({ fields: [], setShown: () => undefined });

/** What is wrong with the field of a path, which then shows it; undefined: nothing. */
export function useFault(path: string): string | undefined {
  const { fields, setShown } = useContext(FaultsContext);
  useEffect(() => {
    setShown((paths) => [...paths, path]);
    return () => setShown((paths) => paths.filter((p) => p !== path));
  }, [path, setShown]);
  return fields.find((f) => f.path === path)?.message;
}
