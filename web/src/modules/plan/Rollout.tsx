import { Button, Content, Flex, FormSelect, FormSelectOption, Stack, StackItem } from '@patternfly/react-core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { api, data } from '../../api/client';
import { DataTable } from '../../components/DataTable';
import { ProblemAlert } from '../../components/ProblemAlert';
import { count } from '../../components/format';
import { Lines } from './charts';
import { drawnPoints } from './points';
import type { PartProps } from './Results';
import { lasting } from './units';

/** How an image reaches everybody over time, played with the plan's links and servers. */
export function Rollout({ plan, organization }: PartProps) {
  const images = [...new Set(plan.delivery.sites.flatMap((s) => s.images.map((i) => i.image)))];
  const [image, setImage] = useState(images[0] ?? '');
  const [first, setFirst] = useState('yes');
  const play = useMutation({
    mutationFn: () =>
      data(
        api.POST('/plan/simulate', { body: { organization, options: { rollout: { image, first: first === 'yes' } } } }),
      ),
  });
  const rollout = play.data?.rollout;
  const points = drawnPoints(rollout?.points ?? []);
  return (
    <Stack hasGutter>
      <StackItem>
        <Flex>
          <FormSelect aria-label="Image" value={image} onChange={(_, v) => setImage(v)} style={{ inlineSize: 'auto' }}>
            {images.map((i) => (
              <FormSelectOption key={i} value={i} label={i} />
            ))}
          </FormSelect>
          <FormSelect
            aria-label="What is delivered"
            value={first}
            onChange={(_, v) => setFirst(v)}
            style={{ inlineSize: 'auto' }}
          >
            <FormSelectOption value="yes" label="For the first time" />
            <FormSelectOption value="no" label="As an update" />
          </FormSelect>
          <Button
            variant="secondary"
            isLoading={play.isPending}
            isDisabled={play.isPending || image === ''}
            onClick={() => play.mutate()}
          >
            Play the roll-out
          </Button>
        </Flex>
      </StackItem>
      {play.isError && (
        <StackItem>
          <ProblemAlert problem={play.error} title="The roll-out could not be played" retry={() => play.mutate()} />
        </StackItem>
      )}
      {!rollout && !play.isError && (
        <StackItem>
          <Content component="p">
            A day of the organization is played on the server, with the links of the plan. It takes some seconds.
          </Content>
        </StackItem>
      )}
      {rollout && (
        <>
          <StackItem>
            <Lines
              title={`Clients that have ${rollout.image ?? image}`}
              says={`All have it after ${lasting(rollout.all)}.`}
              categories={points.map((p) => lasting(p.at))}
              at={{ places: points.map((p) => p.at), shown: lasting }}
              series={[{ name: image, values: points.map((p) => p.share * 100) }]}
              shown={(n) => `${n.toLocaleString('en', { maximumFractionDigits: 0 })} %`}
            />
          </StackItem>
          <StackItem>
            <DataTable
              label="arrival by site"
              columns={[
                { name: 'Site', cell: (s) => <span className="dormer-name">{s.site}</span>, sort: (s) => s.site },
                { name: 'Clients', cell: (s) => count(s.clients), sort: (s) => s.clients },
                { name: 'Half of them', cell: (s) => lasting(s.p50), sort: (s) => s.p50 },
                { name: '90 %', cell: (s) => lasting(s.p90), sort: (s) => s.p90 },
                { name: 'All', cell: (s) => lasting(s.p100), sort: (s) => s.p100 },
                { name: 'What is narrow', cell: (s) => s.narrow ?? '' },
              ]}
              rows={rollout.sites ?? []}
              id={(s) => `${s.site} ${s.network ?? ''} ${s.instance}`}
              empty={<p>Nobody gets it.</p>}
            />
          </StackItem>
        </>
      )}
    </Stack>
  );
}
