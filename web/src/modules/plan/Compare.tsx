import {
  Button,
  Content,
  EmptyState,
  EmptyStateBody,
  Flex,
  FormSelect,
  FormSelectOption,
  Stack,
  StackItem,
} from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, data, type Schemas } from '../../api/client';
import { DataTable, type Column } from '../../components/DataTable';
import { Loaded } from '../../components/Loaded';
import { count } from '../../components/format';
import { asText, type Json } from '../../document/json';
import { valueAt } from '../../document/paths';
import { useShelved } from '../../document/shelf';
import { useWho } from '../../session/session';
import { keep, plans, plansKey } from './drafts';
import type { PartProps } from './Results';
import { lasting, sized } from './units';

/** The plan beside one that was kept before. */
export function Compare({ organization }: PartProps) {
  const key = plansKey(useWho());
  const all = useShelved(plans, key);
  const names = Object.keys(all);
  const [chosen, setChosen] = useState(names[0] ?? '');
  const before = all[chosen];
  const name = asText(valueAt(organization, 'metadata.name')) || 'Plan';
  const keepThis = () => {
    const label = `${name}, ${new Date().toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'medium' })}`;
    keep(key, label, organization);
    setChosen(label);
  };
  return (
    <Stack hasGutter>
      <StackItem>
        <Flex>
          {names.length > 0 && (
            <FormSelect
              aria-label="Compare with"
              value={chosen}
              onChange={(_, v) => setChosen(v)}
              style={{ inlineSize: 'auto' }}
            >
              {names.map((n) => (
                <FormSelectOption key={n} value={n} label={n} />
              ))}
            </FormSelect>
          )}
          <Button variant="secondary" onClick={keepThis}>
            Keep this plan to compare with
          </Button>
          {before !== undefined && (
            <Button
              variant="link"
              onClick={() => {
                const left = keep(key, chosen, undefined);
                setChosen(Object.keys(left)[0] ?? '');
              }}
            >
              Forget it
            </Button>
          )}
        </Flex>
      </StackItem>
      <StackItem>
        {before === undefined ? (
          <EmptyState titleText="Nothing to compare with yet" headingLevel="h2">
            <EmptyStateBody>Keep the plan as it is, change it, and see here what that changes.</EmptyStateBody>
          </EmptyState>
        ) : (
          <Compared before={before} after={organization} />
        )}
      </StackItem>
    </Stack>
  );
}

/** A value of a figure in its unit. */
function inUnit(value: number | null | undefined, unit: string): string {
  if (value === null || value === undefined) return '–';
  if (unit === 'bytes' || unit === 'B') return sized(value);
  if (unit === 's') return lasting(value);
  return `${value.toLocaleString('en', { maximumSignificantDigits: 4 })} ${unit}`.trim();
}

const columns: Column<Schemas['PlanFigureChange']>[] = [
  { name: 'Where', cell: (f) => <span className="dormer-name">{f.where}</span>, sort: (f) => f.where ?? '' },
  { name: 'Figure', cell: (f) => f.title, sort: (f) => f.title },
  { name: 'Before', cell: (f) => inUnit(f.a, f.unit) },
  { name: 'After', cell: (f) => inUnit(f.b, f.unit) },
];

function Compared({ before, after }: { before: Json; after: Json }) {
  const query = useQuery({
    queryKey: ['plan', 'compare', before, after],
    queryFn: () => data(api.POST('/plan/compare', { body: { before, after } })),
    placeholderData: (last) => last,
    staleTime: Infinity,
    retry: false,
  });
  return (
    <Loaded query={query} what="comparison">
      {(c) => (
        <>
          <Content component="p">{`Instances: ${count(c.instances.a)} before, ${count(c.instances.b)} after. People: ${count(c.users.a)} before, ${count(c.users.b)} after.`}</Content>
          <DataTable
            label="figures that differ"
            columns={columns}
            rows={c.figures ?? []}
            id={(f) => `${f.where} ${f.name}`}
            text={(f) => `${f.where} ${f.title}`}
            empty={
              <EmptyState titleText="No figure differs" headingLevel="h2">
                <EmptyStateBody>Both plans come to the same.</EmptyStateBody>
              </EmptyState>
            }
          />
        </>
      )}
    </Loaded>
  );
}
