import { Content, Stack, StackItem } from '@patternfly/react-core';
import { count } from '../../components/format';
import { Lines } from './charts';
import type { PartProps } from './Results';
import { sized } from './units';

/** How people, instances and databases grow over the years of the plan. */
export function Growth({ plan }: PartProps) {
  const years = plan.years ?? [];
  if (years.length < 2) {
    return (
      <Content component="p">
        The plan looks no year ahead. Say so under growth, with the share of people that come in a year.
      </Content>
    );
  }
  const named = years.map((y) => (y.year === 0 ? 'Now' : `After ${y.year} y`));
  return (
    <Stack hasGutter>
      <StackItem>
        <Lines
          title="Databases and repositories"
          says={`The events databases grow to ${sized(years.at(-1)?.events ?? 0)}.`}
          categories={named}
          series={[
            { name: 'Events databases', values: years.map((y) => y.events) },
            { name: 'Repositories', values: years.map((y) => y.repository) },
          ]}
          shown={sized}
        />
      </StackItem>
      <StackItem>
        <Lines
          title="People"
          says={`People grow to ${count(years.at(-1)?.users ?? 0)}.`}
          categories={named}
          series={[
            { name: 'People', values: years.map((y) => y.users) },
            { name: 'Computers on at the same time', values: years.map((y) => y.active) },
          ]}
          shown={count}
        />
      </StackItem>
      <StackItem>
        <Lines
          title="Instances"
          says={`Instances grow to ${count(years.at(-1)?.instances ?? 0)}.`}
          categories={named}
          series={[
            { name: 'Instances', values: years.map((y) => y.instances) },
            { name: 'By the classic guide', values: years.map((y) => y.classic) },
          ]}
          shown={(n) => n.toLocaleString('en', { maximumFractionDigits: 1 })}
        />
      </StackItem>
    </Stack>
  );
}
