import { Card, CardBody, CardTitle, Content, List, ListItem, Stack, StackItem } from '@patternfly/react-core';
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';
import { bytes, count } from '../../components/format';
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
    <Facts
      label="Servers and databases"
      heads={['Instance', 'Cores', 'Memory', 'Disk', 'Events database', 'Standby']}
      rows={plan.sizing.map((s) => [
        s.name,
        s.server.cores,
        bytes(s.server.memory),
        sized(s.server.disk),
        `${s.events.kind}, ${sized(s.events.bytes)}`,
        s.availability.standby || 'none',
      ])}
    />
  );
}

function Classic({ plan }: Pick<PartProps, 'plan'>) {
  return (
    <Facts
      label="The number of instances by the classic guide"
      caption={`By the classic guide's procedure: ${plan.classic.count}`}
      heads={['Condition', 'About', 'Adds', 'Reason']}
      rows={plan.classic.steps.map((s) => [s.condition, s.about, s.adds, s.reason])}
    />
  );
}

interface FactsProps {
  label: string;
  caption?: string;
  heads: string[];
  /** Texts and numbers below each head. */
  rows: (string | number | undefined)[][];
}

/** A few facts in rows. */
function Facts({ label, caption, heads, rows }: FactsProps) {
  return (
    <Table aria-label={label} variant="compact">
      {caption !== undefined && <caption>{caption}</caption>}
      <Thead>
        <Tr>
          {heads.map((h) => (
            <Th key={h} modifier="wrap">
              {h}
            </Th>
          ))}
        </Tr>
      </Thead>
      <Tbody>
        {rows.map((row) => (
          <Tr key={row.join(' ')}>
            {heads.map((h, i) => (
              <Td key={h} dataLabel={h} modifier="breakWord">
                {row[i]}
              </Td>
            ))}
          </Tr>
        ))}
      </Tbody>
    </Table>
  );
}
