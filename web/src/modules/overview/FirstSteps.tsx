import { Card, CardBody, CardTitle, Content, ProgressStep, ProgressStepper } from '@patternfly/react-core';
import { useQueries } from '@tanstack/react-query';
import { Link } from 'react-router';
import { api, data } from '../../api/client';
import { steps } from './figures';

/** What a new instance needs, until it has it. */
export function FirstSteps() {
  const all = useQueries({
    queries: [
      { queryKey: ['publisher'], queryFn: () => data(api.GET('/publishers')) },
      { queryKey: ['image'], queryFn: () => data(api.GET('/images')) },
      { queryKey: ['workspace'], queryFn: () => data(api.GET('/workspaces')) },
      { queryKey: ['join-token'], queryFn: () => data(api.GET('/join-tokens')) },
    ],
  });
  const figures = useQueries({
    queries: [{ queryKey: ['client', 'figures'], queryFn: () => data(api.GET('/client-figures')) }],
  });
  const [publishers, images, workspaces, tokens] = all.map((q) => q.data?.items.length);
  const joined = figures[0].data?.active;
  if (
    publishers === undefined ||
    images === undefined ||
    workspaces === undefined ||
    tokens === undefined ||
    joined === undefined
  )
    return null;
  const todo = steps({ publishers, images, workspaces, joined, tokens });
  if (todo.every((s) => s.done)) return null;
  const current = todo.findIndex((s) => !s.done);
  return (
    <Card>
      <CardTitle component="h2">First steps</CardTitle>
      <CardBody>
        <ProgressStepper isVertical aria-label="First steps">
          {todo.map((s, i) => (
            <ProgressStep
              key={s.title}
              id={`step-${i}`}
              titleId={`step-${i}-title`}
              variant={s.done ? 'success' : i === current ? 'info' : 'pending'}
              isCurrent={i === current}
              aria-label={s.done ? 'done' : 'to do'}
              description={
                s.done ? undefined : (
                  <Content component="small">
                    {s.says} <Link to={s.to}>{s.link}</Link>
                  </Content>
                )
              }
            >
              {s.title}
            </ProgressStep>
          ))}
        </ProgressStepper>
      </CardBody>
    </Card>
  );
}
