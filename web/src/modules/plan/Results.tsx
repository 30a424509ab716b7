import {
  Alert,
  Button,
  Card,
  CardBody,
  DescriptionList,
  DescriptionListDescription,
  DescriptionListGroup,
  DescriptionListTerm,
  ExpandableSection,
  Label,
  List,
  ListItem,
  Stack,
  StackItem,
  Tab,
  TabContent,
  Tabs,
  TabTitleText,
} from '@patternfly/react-core';
import type { UseQueryResult } from '@tanstack/react-query';
import { lazy, Suspense, type ComponentType } from 'react';
import { useSearchParams } from 'react-router';
import type { Schemas } from '../../api/client';
import { ProblemAlert } from '../../components/ProblemAlert';
import { count, plural } from '../../components/format';
import type { Json } from '../../document/json';
import { sized } from './units';
import { Waiting } from '../../components/Waiting';

type Plan = Schemas['Plan'];

interface Props extends Omit<PartProps, 'plan'> {
  query: UseQueryResult<Plan>;
  /** The last one that could be worked out. */
  last: Plan | undefined;
  /** What is shown is of what was entered before. */
  isOld: boolean;
  /** Leads to the field of a path. */
  onFault: (path: string) => void;
}

export interface PartProps {
  plan: Plan;
  /** What the plan is of. */
  organization: Json;
  /** What is entered by now. */
  entered: Json;
  /** Changes what is entered, as it stands then. */
  onChange: (make: (organization: Json) => Json) => void;
  /** Why nothing can be changed now; undefined: it can. */
  readOnly: string | undefined;
}

const parts: { id: string; title: string; Part: ComponentType<PartProps> }[] = [
  {
    id: 'instances',
    title: 'Instances',
    Part: lazy(async () => ({ default: (await import('./Instances')).Instances })),
  },
  { id: 'growth', title: 'Growth', Part: lazy(async () => ({ default: (await import('./Growth')).Growth })) },
  {
    id: 'delivery',
    title: 'Delivery',
    Part: lazy(async () => ({ default: (await import('./DeliveryPart')).DeliveryPart })),
  },
  { id: 'rollout', title: 'Roll-out', Part: lazy(async () => ({ default: (await import('./Rollout')).Rollout })) },
  { id: 'outages', title: 'Outages', Part: lazy(async () => ({ default: (await import('./Outages')).Outages })) },
  { id: 'what-if', title: 'What if', Part: lazy(async () => ({ default: (await import('./WhatIf')).WhatIf })) },
  {
    id: 'questions',
    title: 'Questions',
    Part: lazy(async () => ({ default: (await import('./Questions')).Questions })),
  },
  { id: 'compare', title: 'Compare', Part: lazy(async () => ({ default: (await import('./Compare')).Compare })) },
];

/** What the organization needs, worked out anew as it is described. */
export function Results({ query, last, isOld, onFault, ...entered }: Props) {
  const [search, setSearch] = useSearchParams();
  const plan = query.data ?? last;
  const chosen = parts.find((p) => p.id === search.get('result')) ?? parts[0];
  if (!plan) {
    return query.isError ? (
      <ProblemAlert problem={query.error} title="There is no plan yet" />
    ) : (
      <Waiting what="the plan" height="20rem" />
    );
  }
  return (
    <Stack hasGutter aria-busy={isOld}>
      {query.isError && (
        <StackItem>
          <ProblemAlert problem={query.error} title="What is shown is the last plan that could be worked out" />
        </StackItem>
      )}
      <StackItem>
        <Summary plan={plan} />
      </StackItem>
      <StackItem>
        <Warnings plan={plan} onFault={onFault} />
      </StackItem>
      <StackItem>
        <Tabs
          activeKey={chosen?.id}
          onSelect={(_, key) =>
            setSearch(
              (was) => {
                const next = new URLSearchParams(was);
                next.set('result', String(key));
                return next;
              },
              { replace: true },
            )
          }
          aria-label="The plan"
          isOverflowHorizontal
        >
          {parts.map((p) => (
            <Tab
              key={p.id}
              eventKey={p.id}
              tabContentId={`plan-result-${p.id}`}
              title={<TabTitleText>{p.title}</TabTitleText>}
            />
          ))}
        </Tabs>
      </StackItem>
      <StackItem>
        {chosen && (
          <TabContent id={`plan-result-${chosen.id}`} aria-label={chosen.title} hidden={false}>
            <Suspense fallback={<Waiting what="the charts" />}>
              <chosen.Part plan={plan} {...entered} />
            </Suspense>
          </TabContent>
        )}
      </StackItem>
    </Stack>
  );
}

function Summary({ plan }: { plan: Plan }) {
  const missed = (plan.scope.service_levels ?? []).filter((l) => !l.met);
  const people = plan.instances.reduce((sum, i) => sum + i.users, 0);
  const events = plan.sizing.reduce((sum, s) => sum + s.events.bytes, 0);
  const repositories = plan.delivery.repositories.reduce((sum, r) => sum + r.disk, 0);
  const rows = [
    {
      name: 'Instances',
      value: `${count(plan.instances.length)} for ${count(people)} people`,
    },
    {
      name: 'By the classic guide',
      value: plural(plan.classic.count, 'instance'),
    },
    {
      name: 'Fewest possible',
      value: plan.smallest ? 'Yes: no smaller number satisfies all conditions' : 'Not proved: fewer may do',
    },
    { name: 'Events databases', value: sized(events) },
    {
      name: 'Repositories',
      value: `${plural(plan.delivery.repositories.length, 'repository', 'repositories')}, ${sized(repositories)}`,
    },
    {
      name: 'Service levels',
      value:
        missed.length === 0 ? (
          <Label status="success">All are met</Label>
        ) : (
          <Label status="danger">{missed.map((l) => l.title).join(', ')}</Label>
        ),
    },
    {
      name: 'Questions to the business',
      value: plural((plan.questions ?? []).filter((q) => !q.answer).length, 'open question'),
    },
  ];
  return (
    <Card>
      <CardBody>
        <DescriptionList isHorizontal isCompact aria-label="Summary of the plan">
          {rows.map((r) => (
            <DescriptionListGroup key={r.name}>
              <DescriptionListTerm>{r.name}</DescriptionListTerm>
              <DescriptionListDescription>{r.value}</DescriptionListDescription>
            </DescriptionListGroup>
          ))}
        </DescriptionList>
      </CardBody>
    </Card>
  );
}

function Warnings({ plan, onFault }: { plan: Plan } & Pick<Props, 'onFault'>) {
  const all = [...(plan.warnings ?? []), ...(plan.delivery.warnings ?? []).map((text) => ({ path: '', text }))];
  const unique = all.filter((w, i) => all.findIndex((o) => o.text === w.text) === i);
  if (unique.length === 0) return null;
  return (
    <Alert isInline variant="warning" title={plural(unique.length, 'thing to look at', 'things to look at')}>
      <ExpandableSection toggleText="Show">
        <List>
          {unique.map(({ text, path = '' }) => (
            <ListItem key={`${path} ${text}`}>
              {text}{' '}
              {path !== '' && (
                <Button variant="link" isInline onClick={() => onFault(path)}>
                  {path}
                </Button>
              )}
            </ListItem>
          ))}
        </List>
      </ExpandableSection>
    </Alert>
  );
}
