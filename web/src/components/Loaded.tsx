import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { asProblem } from '../api/problem';
import { ProblemAlert } from './ProblemAlert';
import { Waiting } from './Waiting';

interface Props<T> {
  query: UseQueryResult<T>;
  /** What is loaded, as "images"; said when it cannot be. */
  what: string;
  /** Shown in place of a fault when it is not there at all. */
  gone?: ReactNode;
  children: (data: T) => ReactNode;
}

/**
 * Shows what a query brought, a skeleton before, and why nothing came. What
 * was there stays while it cannot be asked for again, with a word about that.
 */
export function Loaded<T>({ query, what, gone, children }: Props<T>) {
  const again = () => void query.refetch();
  if (gone !== undefined && query.isError && asProblem(query.error).kind === 'not-found') return <>{gone}</>;
  if (query.data === undefined) {
    return query.isError ? (
      <ProblemAlert problem={query.error} title={`The ${what} could not be loaded`} retry={again} />
    ) : (
      <Waiting what={what} />
    );
  }
  return (
    <>
      {query.isError && (
        <ProblemAlert
          problem={query.error}
          title={`The ${what} may be old: they could not be loaded again`}
          retry={again}
        />
      )}
      {children(query.data)}
    </>
  );
}
