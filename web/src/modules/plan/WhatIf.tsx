import {
  Button,
  Content,
  Flex,
  FlexItem,
  Form,
  FormGroup,
  FormSelect,
  FormSelectOption,
  Label,
  LabelGroup,
  Stack,
  StackItem,
  TextInput,
} from '@patternfly/react-core';
import { useMutation } from '@tanstack/react-query';
import { useId, useState } from 'react';
import { raw, type Schemas } from '../../api/client';
import { DataTable, type Column } from '../../components/DataTable';
import { ProblemAlert } from '../../components/ProblemAlert';
import { count } from '../../components/format';
import type { Json } from '../../document/json';
import { fitting, kinds, type Blank } from './conditions';
import type { PartProps } from './Results';

type Explained = Schemas['PlanExplained'];
type Change = Explained['changes'][number];

async function explain(organization: Json, conditions: string[]): Promise<Explained> {
  const answer = await raw(`/plan/explain?${new URLSearchParams(conditions.map((c) => ['with', c])).toString()}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(organization),
  });
  return (await answer.json()) as Explained;
}

/** What conditions cost in instances, and what others would: one by one, or some together. */
export function WhatIf({ organization }: PartProps) {
  const [conditions, setConditions] = useState<string[]>([]);
  const ask = useMutation({ mutationFn: (tried: string[]) => explain(organization, tried) });
  return (
    <Stack hasGutter>
      <StackItem>
        <Content component="p">What each condition of the plan costs, and what one more would change:</Content>
        <Button variant="secondary" isDisabled={ask.isPending} onClick={() => ask.mutate([])}>
          Go through all conditions
        </Button>
      </StackItem>
      <StackItem>
        <Content component="p">Or some conditions together:</Content>
        <NewCondition
          organization={organization}
          onAdd={(c) => setConditions((all) => (all.includes(c) ? all : [...all, c]))}
        />
      </StackItem>
      {conditions.length > 0 && (
        <StackItem>
          <Flex>
            <LabelGroup aria-label="Conditions to try" numLabels={20}>
              {conditions.map((c) => (
                <Label
                  key={c}
                  onClose={() => setConditions((all) => all.filter((x) => x !== c))}
                  closeBtnAriaLabel={`Take ${c} away`}
                >
                  {c}
                </Label>
              ))}
            </LabelGroup>
            <Button variant="secondary" isDisabled={ask.isPending} onClick={() => ask.mutate(conditions)}>
              Try them together
            </Button>
          </Flex>
        </StackItem>
      )}
      {ask.isError && (
        <StackItem>
          <ProblemAlert problem={ask.error} title="That could not be worked out" />
        </StackItem>
      )}
      {ask.isPending && <StackItem role="status">Plans with other conditions are worked out…</StackItem>}
      {ask.data && (
        <StackItem>
          <Answer explained={ask.data} />
        </StackItem>
      )}
    </Stack>
  );
}

function NewCondition({ organization, onAdd }: { organization: Json; onAdd: (condition: string) => void }) {
  const [kind, setKind] = useState(kinds[0]);
  const [filled, setFilled] = useState<string[]>([]);
  const id = useId();
  if (!kind) return null;
  const values = kind.blanks.map((b, i) => filled[i] ?? fitting(organization, b)[0] ?? '');
  return (
    <Form
      onSubmit={(e) => {
        e.preventDefault();
        if (values.every((v) => v !== '')) onAdd(kind.text(values));
      }}
    >
      <FormGroup label="Condition" fieldId={id}>
        <FormSelect
          id={id}
          value={kind.id}
          onChange={(_, v) => {
            setKind(kinds.find((k) => k.id === v));
            setFilled([]);
          }}
        >
          {kinds.map((k) => (
            <FormSelectOption key={k.id} value={k.id} label={k.title} />
          ))}
        </FormSelect>
      </FormGroup>
      <Flex alignItems={{ default: 'alignItemsFlexEnd' }}>
        {kind.blanks.map((b, i) => (
          <FlexItem key={b.label}>
            <BlankField
              blank={b}
              organization={organization}
              value={values[i] ?? ''}
              onChange={(v) => setFilled(values.map((old, at) => (at === i ? v : old)))}
            />
          </FlexItem>
        ))}
        <FlexItem>
          <Button type="submit" variant="secondary" isDisabled={values.includes('')}>
            Add the condition
          </Button>
        </FlexItem>
      </Flex>
    </Form>
  );
}

interface BlankProps {
  blank: Blank;
  organization: Json;
  value: string;
  onChange: (value: string) => void;
}

function BlankField({ blank, organization, value, onChange }: BlankProps) {
  const id = useId();
  const names = fitting(organization, blank);
  return (
    <FormGroup label={blank.label} fieldId={id}>
      {blank.names === undefined ? (
        <TextInput id={id} type="number" value={value} onChange={(_, v) => onChange(v)} />
      ) : (
        <FormSelect id={id} value={value} onChange={(_, v) => onChange(v)} isDisabled={names.length === 0}>
          {names.length === 0 && <FormSelectOption value="" label="The plan has none" />}
          {names.map((n) => (
            <FormSelectOption key={n} value={n} label={n} />
          ))}
        </FormSelect>
      )}
    </FormGroup>
  );
}

const signed = (n: number): string => (n > 0 ? `+${count(n)}` : n < 0 ? `−${count(-n)}` : 'none');

function Answer({ explained }: { explained: Explained }) {
  const columns: Column<Change>[] = [
    { name: 'Condition', cell: (c) => <span className="dormer-name">{c.what}</span>, sort: (c) => c.what },
    {
      name: 'Instances',
      cell: (c) => (c.instances === 0 ? 'cannot be' : count(c.instances)),
      sort: (c) => c.instances,
    },
    {
      name: 'Difference',
      cell: (c) => (c.instances === 0 ? '' : signed(c.instances - explained.instances)),
      sort: (c) => c.instances - explained.instances,
    },
    { name: 'Why', cell: (c) => <span className="dormer-name">{c.text}</span> },
  ];
  return (
    <>
      <Content component="p">{`As the plan is: ${count(explained.instances)} by this planner, ${count(explained.classic)} by the classic guide.`}</Content>
      <DataTable
        label="what conditions change"
        columns={columns}
        rows={explained.changes}
        id={(c) => `${c.what} ${c.text}`}
        empty={<p>The plan has no condition that changes the number of instances.</p>}
      />
    </>
  );
}
