import { Label } from '@patternfly/react-core';
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';
import { Link } from 'react-router';
import { ActionButton } from '../../components/ActionButton';
import { ago, count, Time } from '../../components/format';
import { Severity } from '../../components/Severity';
import { useRules } from './queries';
import { eventsOf, subjectName, subjectOf, type Alert } from './rules';

interface Props {
  label: string;
  alerts: Alert[];
  /** Asks to acknowledge one; absent: they are over. */
  onAcknowledge?: (alert: Alert) => void;
}

/** Alerts, each with the way to what it is about and to the events that raised it. */
export function AlertTable({ label, alerts, onAcknowledge }: Props) {
  const rules = useRules();
  const ruleOf = (a: Alert) => rules.data?.items.find((r) => r.name === a.rule);
  return (
    <Table aria-label={label} variant="compact">
      <Thead>
        <Tr>
          <Th>Severity</Th>
          <Th>Alert</Th>
          <Th>About</Th>
          <Th>Since</Th>
          <Th>Count</Th>
          <Th>State</Th>
          {onAcknowledge && <Th screenReaderText="Acknowledge" />}
        </Tr>
      </Thead>
      <Tbody>
        {alerts.map((a) => {
          const subject = subjectOf(a, ruleOf(a));
          const events = eventsOf(a, ruleOf(a));
          return (
            <Tr key={a.id}>
              <Td dataLabel="Severity">
                <Severity severity={a.severity} />
              </Td>
              <Td dataLabel="Alert" modifier="breakWord">
                <span className="dormer-name">{a.text}</span>
                <br />
                <small>
                  Rule <Link to={`/alerts/rules/${encodeURIComponent(a.rule)}`}>{a.rule}</Link>
                </small>
              </Td>
              <Td dataLabel="About">
                {subject === undefined ? (
                  subjectName(a, ruleOf(a))
                ) : (
                  <Link className="dormer-name" to={subject}>
                    {subjectName(a, ruleOf(a))}
                  </Link>
                )}
              </Td>
              <Td dataLabel="Since">
                <Time at={a.raised} />
                <br />
                <small>last {ago(a.last)}</small>
              </Td>
              <Td dataLabel="Count">
                {events === undefined ? count(a.count) : <Link to={events}>{count(a.count)}</Link>}
              </Td>
              <Td dataLabel="State" modifier="breakWord">
                <State alert={a} />
              </Td>
              {onAcknowledge && (
                <Td isActionCell>
                  <ActionButton
                    variant="secondary"
                    size="sm"
                    not={a.acknowledged === undefined ? undefined : 'Somebody looks after it already.'}
                    onClick={() => onAcknowledge(a)}
                    aria-label={`Acknowledge alert ${a.id}`}
                  >
                    Acknowledge
                  </ActionButton>
                </Td>
              )}
            </Tr>
          );
        })}
      </Tbody>
    </Table>
  );
}

/** Whether somebody looks after an alert, and whether it is over. */
function State({ alert: a }: { alert: Alert }) {
  return (
    <>
      {a.cleared === undefined ? (
        <Label isCompact status={a.acknowledged === undefined ? 'danger' : 'info'}>
          {a.acknowledged === undefined ? 'open' : 'acknowledged'}
        </Label>
      ) : (
        <>
          cleared <Time at={a.cleared} />
        </>
      )}
      {a.acknowledged !== undefined && (
        <div className="dormer-name">
          {a.acknowledged_by}
          {a.note !== undefined && a.note !== '' && `: ${a.note}`}
        </div>
      )}
    </>
  );
}
