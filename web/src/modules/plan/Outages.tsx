import {
  Button,
  Content,
  Flex,
  FlexItem,
  Form,
  FormGroup,
  FormSelect,
  FormSelectOption,
  List,
  ListItem,
  Stack,
  StackItem,
  TextInput,
} from '@patternfly/react-core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { api, data, type Schemas } from '../../api/client';
import { DataTable, type Column } from '../../components/DataTable';
import { ProblemAlert } from '../../components/ProblemAlert';
import { count } from '../../components/format';
import type { PartProps } from './Results';
import { lasting } from './units';

interface Row {
  instance: string;
  recovery: Schemas['SimulationRecovery'];
}

/** A time after the return of the server; what did not come within the day says so. */
const after = (seconds: number): string => (seconds < 0 ? 'not within the day' : lasting(seconds));

const columns: Column<Row>[] = [
  { name: 'Instance', cell: (r) => <span className="dormer-name">{r.instance}</span>, sort: (r) => r.instance },
  { name: 'Last client is back after', cell: (r) => after(r.recovery.last_back), sort: (r) => r.recovery.last_back },
  { name: 'Events kept by clients', cell: (r) => count(r.recovery.backlog), sort: (r) => r.recovery.backlog },
  { name: 'All are stored after', cell: (r) => after(r.recovery.drained), sort: (r) => r.recovery.drained },
  { name: 'Who could not go on', cell: (r) => <Stopped recovery={r.recovery} /> },
];

function Stopped({ recovery: { stopped = [] } }: Pick<Row, 'recovery'>) {
  if (stopped.length === 0) return <>Nobody</>;
  return (
    <List isPlain>
      {stopped.map((s) => (
        <ListItem key={s.workspace} className="dormer-name">
          {`${count(s.users)} of ${s.workspace}, the first after ${lasting(s.first)}`}
        </ListItem>
      ))}
    </List>
  );
}

/** A day of the organization on which servers are away for a time: who notices, and when all is as before. */
export function Outages({ plan, organization }: PartProps) {
  const [instance, setInstance] = useState('');
  const [start, setStart] = useState('10:00');
  const [hours, setHours] = useState('2');
  const play = useMutation({
    mutationFn: () => {
      const [h = '0', m = '0'] = start.split(':');
      const outage = {
        ...(instance !== '' && { instance }),
        start: `${Number(h)}h${Number(m)}m`,
        length: `${Math.round(Number(hours) * 60)}m`,
      };
      return data(api.POST('/plan/simulate', { body: { organization, options: { outages: [outage] } } }));
    },
  });
  const rows = (play.data?.instances ?? []).flatMap((i) =>
    (i.outages ?? []).map((recovery) => ({ instance: i.name, recovery })),
  );
  return (
    <Stack hasGutter>
      <StackItem>
        <Content component="p">
          A day of the organization is played on the server, some of it without the servers of the plan. It takes some
          seconds.
        </Content>
        <Form
          onSubmit={(e) => {
            e.preventDefault();
            play.mutate();
          }}
        >
          <Flex alignItems={{ default: 'alignItemsFlexEnd' }}>
            <FlexItem>
              <FormGroup label="What is away" fieldId="outage-instance">
                <FormSelect id="outage-instance" value={instance} onChange={(_, v) => setInstance(v)}>
                  <FormSelectOption value="" label="All instances" />
                  {plan.instances.map((i) => (
                    <FormSelectOption key={i.name} value={i.name} label={i.name} />
                  ))}
                </FormSelect>
              </FormGroup>
            </FlexItem>
            <FlexItem>
              <FormGroup label="From" fieldId="outage-start">
                <TextInput id="outage-start" type="time" value={start} onChange={(_, v) => setStart(v)} />
              </FormGroup>
            </FlexItem>
            <FlexItem>
              <FormGroup label="For hours" fieldId="outage-hours">
                <TextInput
                  id="outage-hours"
                  type="number"
                  step="any"
                  min="0"
                  value={hours}
                  onChange={(_, v) => setHours(v)}
                />
              </FormGroup>
            </FlexItem>
            <FlexItem>
              <Button
                type="submit"
                variant="secondary"
                isLoading={play.isPending}
                isDisabled={play.isPending || start === '' || hours === ''}
              >
                Play the outage
              </Button>
            </FlexItem>
          </Flex>
        </Form>
      </StackItem>
      {play.isError && (
        <StackItem>
          <ProblemAlert problem={play.error} title="The outage could not be played" />
        </StackItem>
      )}
      {play.data && (
        <StackItem>
          <DataTable
            label="what the outage did"
            columns={columns}
            rows={rows}
            id={(r) => `${r.instance} ${r.recovery.start}`}
            empty={<p>No instance had an outage in the day that was played.</p>}
          />
        </StackItem>
      )}
    </Stack>
  );
}
