import { Card, CardBody, CardTitle, Content } from '@patternfly/react-core';
import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Link } from 'react-router';
import { ProblemAlert } from '../../components/ProblemAlert';
import { Waiting } from '../../components/Waiting';

interface Said {
  number: ReactNode;
  /** The rows that the number counts. */
  to: string;
  says: ReactNode;
}

interface Props<T> {
  title: string;
  query: UseQueryResult<T>;
  children: (data: T) => Said;
}

/** One number of the overview, which leads to what it counts. */
export function Figure<T>({ title, query, children }: Props<T>) {
  const said = query.data === undefined ? undefined : children(query.data);
  return (
    <Card isFullHeight>
      <CardTitle component="h2">{title}</CardTitle>
      <CardBody>
        {said === undefined && query.isError && (
          <ProblemAlert problem={query.error} retry={() => void query.refetch()} />
        )}
        {said === undefined && !query.isError && <Waiting what={title} height="4rem" />}
        {said && (
          <>
            <p className="dormer-figure">
              <Link to={said.to} aria-label={typeof said.number === 'string' ? `${title}: ${said.number}` : undefined}>
                {said.number}
              </Link>
            </p>
            <Content component="small">{said.says}</Content>
          </>
        )}
      </CardBody>
    </Card>
  );
}
