import { Card, CardBody, CardTitle, Content, List, ListItem, Stack, StackItem } from '@patternfly/react-core';
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';
import { count } from '../../components/format';
import { StackedBars } from './charts';
import { bySite } from './figures';
import type { PartProps } from './Results';
import { sized } from './units';

/** How many sites a chart shows; the largest, for hundreds say nothing. */
const drawnSites = 20;

/** The instances: whom each serves, why there are so many, and what it runs on. */
export function Instances({ plan }: PartProps) {
  const { sites, series } = bySite(plan.instances, drawnSites);
  return (
    <Stack hasGutter>
      <StackItem>
        <StackedBars
          title="People by site and instance"
          says={`${plan.instances.length} instances over ${sites.length} sites; the table says how many people of each site each serves.`}
          categories={sites}
          series={series}
          shown={count}
        />
      </StackItem>
      <StackItem>
        <Servers plan={plan} />
      </StackItem>
      <StackItem>
        <Classic plan={plan} />
      </StackItem>
      <StackItem>
        <Why plan={plan} />
      </StackItem>
      {plan.instances.map((i) => (
        <StackItem key={i.name}>
          <Card isCompact>
            <CardTitle component="h2">{i.name}</CardTitle>
            <CardBody>
              <Content component="p">{`${count(i.users)} people, ${count(i.active)} on at the same time. The server stands at ${i.site}: ${i.seat}`}</Content>
              <List>
                {(i.reasons ?? []).map((r) => (
                  <ListItem key={r.text}>{r.text}</ListItem>
                ))}
              </List>
            </CardBody>
          </Card>
        </StackItem>
      ))}
    </Stack>
  );
}

/** Why there are so many, and not as many as the classic guide counts. */
function Why({ plan }: Pick<PartProps, 'plan'>) {
  const { splits, difference = [] } = plan;
  return (
    <Stack hasGutter>
      {difference.length > 0 && (
        <StackItem>
          <Content component="h2">{`Why the classic guide counts ${plan.classic.count}, and this plan ${plan.instances.length}`}</Content>
          <List>
            {difference.map((text) => (
              <ListItem key={text}>{text}</ListItem>
            ))}
          </List>
        </StackItem>
      )}
      {splits.length > 0 && (
        <StackItem>
          <Content component="h2">Why instances cannot be one</Content>
          <List>
            {splits.map((s) => (
              <ListItem key={`${s.between.join(' ')} ${s.text}`}>
                <span className="dormer-name">{`${s.between.join(' and ')}: ${s.text}`}</span>
              </ListItem>
            ))}
          </List>
        </StackItem>
      )}
    </Stack>
  );
}

function Servers({ plan }: Pick<PartProps, 'plan'>) {
  return (
    <Table aria-label="Servers and databases" variant="compact">
      <Thead>
        <Tr>
          {['Instance', 'Cores', 'Memory', 'Disk', 'Events database', 'Standby'].map((h) => (
            <Th key={h} modifier="wrap">
              {h}
            </Th>
          ))}
        </Tr>
      </Thead>
      <Tbody>
        {plan.sizing.map((s) => (
          <Tr key={s.name}>
            <Td dataLabel="Instance" modifier="breakWord">
              {s.name}
            </Td>
            <Td dataLabel="Cores">{s.server.cores}</Td>
            <Td dataLabel="Memory">{sized(s.server.memory)}</Td>
            <Td dataLabel="Disk">{sized(s.server.disk)}</Td>
            <Td dataLabel="Events database">{`${s.events.kind}, ${sized(s.events.bytes)}`}</Td>
            <Td dataLabel="Standby" modifier="breakWord">
              {s.availability.standby || 'none'}
            </Td>
          </Tr>
        ))}
      </Tbody>
    </Table>
  );
}

function Classic({ plan }: Pick<PartProps, 'plan'>) {
  return (
    <Table aria-label="The number of instances by the classic guide" variant="compact">
      <caption>{`By the classic guide's procedure: ${plan.classic.count}`}</caption>
      <Thead>
        <Tr>
          {['Condition', 'About', 'Adds', 'Reason'].map((h) => (
            <Th key={h} modifier="wrap">
              {h}
            </Th>
          ))}
        </Tr>
      </Thead>
      <Tbody>
        {plan.classic.steps.map((s) => (
          <Tr key={s.condition + s.about}>
            <Td dataLabel="Condition">{s.condition}</Td>
            <Td dataLabel="About" modifier="breakWord">
              {s.about}
            </Td>
            <Td dataLabel="Adds">{s.adds}</Td>
            <Td dataLabel="Reason" modifier="breakWord">
              {s.reason}
            </Td>
          </Tr>
        ))}
      </Tbody>
    </Table>
  );
}
