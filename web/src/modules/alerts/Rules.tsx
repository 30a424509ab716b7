import { Label } from '@patternfly/react-core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useNavigate } from 'react-router';
import { api, type Schemas } from '../../api/client';
import { asProblem } from '../../api/problem';
import { ActionButton } from '../../components/ActionButton';
import { Confirm } from '../../components/Confirm';
import { rowAction } from '../../components/rowAction';
import { DataTable, type Column } from '../../components/DataTable';
import { Time } from '../../components/format';
import { Loaded } from '../../components/Loaded';
import { useMessages } from '../../components/messages';
import { useReadOnly } from '../../session/session';
import { Severity } from '../../components/Severity';
import { useRules } from './queries';
import { condition, type Rule } from './rules';

type Listed = Schemas['ListedAlertRule'];

const origins: Record<string, string> = { default: 'Comes with Dormer', changed: 'Changed', own: 'Your own' };

const columns: Column<Listed>[] = [
  {
    name: 'Rule',
    sort: (r) => r.name,
    cell: (r) => <Link to={`/alerts/rules/${encodeURIComponent(r.name)}`}>{r.name}</Link>,
  },
  {
    name: 'Counts',
    sort: (r) => (r.enabled ? 0 : 1),
    cell: (r) => (
      <Label isCompact {...(r.enabled ? { status: 'success' as const } : { color: 'grey' as const })}>
        {r.enabled ? 'on' : 'off'}
      </Label>
    ),
  },
  { name: 'Severity', sort: (r) => r.severity, cell: (r) => <Severity severity={r.severity} /> },
  { name: 'Condition', cell: condition },
  { name: 'From', sort: (r) => r.origin, cell: (r) => origins[r.origin] ?? r.origin },
  {
    name: 'Changed',
    sort: (r) => r.changed ?? '',
    cell: (r) =>
      r.changed !== undefined && (
        <>
          <Time at={r.changed} /> <span className="dormer-name">{r.by}</span>
        </>
      ),
  },
];

/** What the API takes of a rule that it listed. */
function ruleOf(listed: Listed): Rule {
  const { origin: _, by: __, changed: ___, ...rule } = listed;
  return rule;
}

/** What a menu says of what cannot be done. */
/** What raises alerts. */
export function Rules() {
  const query = useRules();
  const client = useQueryClient();
  const navigate = useNavigate();
  const { done, undoable, failed } = useMessages();
  const readOnly = useReadOnly();
  const [deleting, setDeleting] = useState<Listed>();
  const changed = () => client.invalidateQueries({ queryKey: ['alert-rule'] });
  const put = async (rule: Rule) => {
    await api.PUT('/alert-rules/{name}', { params: { path: { name: rule.name } }, body: rule });
    await changed();
  };
  const turn = (rule: Listed) =>
    put({ ...ruleOf(rule), enabled: !rule.enabled }).then(
      () => done(`${rule.name} is ${rule.enabled ? 'off; its alerts clear' : 'on'}`),
      (thrown: unknown) => failed(`${rule.name} could not be changed`, asProblem(thrown)),
    );
  const remove = async (rule: Listed) => {
    await api.DELETE('/alert-rules/{name}', { params: { path: { name: rule.name } } });
    await changed();
    undoable(rule.origin === 'own' ? `${rule.name} was deleted` : `${rule.name} is as it comes again`, () => {
      put(ruleOf(rule)).catch((thrown: unknown) => failed(`${rule.name} could not be restored`, asProblem(thrown)));
    });
  };
  return (
    <Loaded query={query} what="rules">
      {({ items }) => (
        <>
          <DataTable
            label="Rules of alerts"
            columns={columns}
            rows={items}
            id={(r) => r.name}
            text={(r) => `${r.name} ${r.text} ${condition(r)}`}
            tools={<ActionButton onClick={() => void navigate('/alerts/new-rule')}>Make a rule</ActionButton>}
            name={(r) => r.name}
            actions={(r) => [
              rowAction('Change', undefined, () => void navigate(`/alerts/rules/${encodeURIComponent(r.name)}`)),
              rowAction(r.enabled ? 'Turn off' : 'Turn on', readOnly, () => void turn(r)),
              rowAction(
                r.origin === 'own' ? 'Delete' : 'Undo the changes',
                readOnly ?? (r.origin === 'default' ? 'It is as it comes: there is nothing to undo.' : undefined),
                () => setDeleting(r),
              ),
            ]}
            empty={null}
          />
          {deleting && (
            <Confirm
              title={
                deleting.origin === 'own' ? `Delete rule ${deleting.name}?` : `Undo the changes of ${deleting.name}?`
              }
              verb={deleting.origin === 'own' ? 'Delete' : 'Undo the changes'}
              act={() => remove(deleting)}
              onClose={() => setDeleting(undefined)}
            >
              {deleting.origin === 'own'
                ? 'Its open alerts clear, and it raises no more.'
                : 'It is again as it comes with Dormer.'}
            </Confirm>
          )}
        </>
      )}
    </Loaded>
  );
}
