import { EmptyState, EmptyStateBody } from '@patternfly/react-core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { api } from '../../api/client';
import { FormDialog } from '../../components/FormDialog';
import { TextField } from '../../components/inputs';
import { Loaded } from '../../components/Loaded';
import { useMessages } from '../../components/messages';
import { AlertTable } from './AlertTable';
import { useOpenAlerts } from './queries';
import type { Alert } from './rules';

/** What needs somebody now. */
export function OpenAlerts() {
  const query = useOpenAlerts();
  const [chosen, setChosen] = useState<Alert>();
  return (
    <Loaded query={query} what="alerts">
      {({ items, next }) => (
        <>
          {items.length === 0 ? (
            <EmptyState titleText="Nothing needs you" headingLevel="h2" status="success">
              <EmptyStateBody>
                No alert is open. <Link to="/alerts/rules">Rules</Link> say what raises one; those that were open stand
                in the <Link to="/alerts/history">history</Link>.
              </EmptyStateBody>
            </EmptyState>
          ) : (
            <AlertTable label="Open alerts" alerts={items} onAcknowledge={setChosen} />
          )}
          {next !== undefined && (
            <p>
              There are more; the <Link to="/alerts/history">history</Link> has all.
            </p>
          )}
          {chosen && <Acknowledge alert={chosen} onClose={() => setChosen(undefined)} />}
        </>
      )}
    </Loaded>
  );
}

/** Says that somebody looks after an alert. */
function Acknowledge({ alert, onClose }: { alert: Alert; onClose: () => void }) {
  const [note, setNote] = useState('');
  const client = useQueryClient();
  const { done } = useMessages();
  const act = async () => {
    await api.POST('/alerts/{id}/acknowledge', { params: { path: { id: String(alert.id) } }, body: { note } });
    await client.invalidateQueries({ queryKey: ['alert'] });
    done('Acknowledged: others see that you look after it');
  };
  return (
    <FormDialog
      title="Acknowledge this alert?"
      says={<span className="dormer-name">{alert.text}</span>}
      verb="Acknowledge"
      act={act}
      onClose={onClose}
    >
      <TextField
        label="Note"
        path="note"
        value={note}
        onChange={setNote}
        lines={3}
        help="For the others: what you do about it. The alert stays open until its condition is over."
      />
    </FormDialog>
  );
}
