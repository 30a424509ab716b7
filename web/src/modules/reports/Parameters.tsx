import { ActionGroup, Button, Form, FormGroup, Gallery } from '@patternfly/react-core';
import { useState } from 'react';
import type { FieldError } from '../../api/problem';
import { FaultsContext } from '../../components/faults';
import { CheckField, ChoiceField, TextField } from '../../components/inputs';
import { useEventKinds } from '../../report/eventKinds';
import type { Kind, Query } from '../../report/query';
import { Several } from './Several';

interface Props {
  kind: Kind;
  query: Query;
  /** What the server found wrong with them. */
  faults: FieldError[];
  onShow: (query: Query) => void;
}

const spans = [
  { value: '1', name: 'Last day' },
  { value: '7', name: 'Last 7 days' },
  { value: '30', name: 'Last 30 days' },
  { value: '90', name: 'Last 90 days' },
  { value: '365', name: 'Last 365 days' },
  { value: 'between', name: 'From and until' },
];
const severities = ['information', 'warning', 'error'];

/** Where in the form something is that the server found wrong. */
export const said = ['days', 'since', 'until', 'user', 'host', 'workspace', 'client', 'code', 'category', 'instances'];

const without = (query: Query, ...names: (keyof Query)[]): Query =>
  Object.fromEntries(Object.entries(query).filter(([name]) => !names.some((n) => n === name)));

const words = (text: string): string[] =>
  text
    .split(/[\s,]+/)
    .map((w) => w.trim())
    .filter((w) => w !== '');

/** What narrows a report. It is asked for when all is entered: a report may take seconds. */
export function Parameters({ kind, query, faults, onShow }: Props) {
  const between = query.since !== undefined || query.until !== undefined;
  const [span, setSpan] = useState(between ? 'between' : String(query.days ?? 7));
  const [since, setSince] = useState(query.since ?? '');
  const [until, setUntil] = useState(query.until ?? '');
  const [user, setUser] = useState(query.user ?? '');
  const [host, setHost] = useState(query.host ?? '');
  const [workspace, setWorkspace] = useState(query.workspace ?? '');
  const [client, setClient] = useState(query.client ?? '');
  const [severity, setSeverity] = useState(query.severity ?? []);
  const [code, setCode] = useState(query.code?.join(', ') ?? '');
  const [category, setCategory] = useState(query.category ?? []);
  const catalogue = useEventKinds();
  const categories = [...new Set(catalogue.map((k) => k.category))];
  const named = words(code).flatMap((c) => catalogue.filter((k) => String(k.code) === c).map((k) => k.text));
  const [all, setAll] = useState(query.instances?.includes('all') ?? false);
  const [, setShown] = useState<string[]>([]);
  const events = kind === 'activity' || kind === 'errors';
  const choices = spans.some((s) => s.value === span) ? spans : [{ value: span, name: `Last ${span} days` }, ...spans];

  const show = () => {
    const next: Query = without(
      query,
      'days',
      'since',
      'until',
      'user',
      'host',
      'workspace',
      'client',
      'severity',
      'code',
      'category',
      'instances',
    );
    if (span !== 'between') next.days = Number(span);
    if (span === 'between' && since !== '') next.since = since;
    if (span === 'between' && until !== '') next.until = until;
    if (user.trim() !== '') next.user = user.trim();
    if (host.trim() !== '') next.host = host.trim();
    if (workspace.trim() !== '') next.workspace = workspace.trim();
    if (client.trim() !== '') next.client = client.trim();
    const codes = words(code).map(Number).filter(Number.isInteger);
    if (events && codes.length > 0) next.code = codes;
    if (events && category.length > 0) next.category = category;
    if (kind === 'activity' && severity.length > 0) next.severity = severity;
    if (kind !== 'status' && all) next.instances = ['all'];
    onShow(next);
  };
  return (
    <Form
      onSubmit={(e) => {
        e.preventDefault();
        show();
      }}
    >
      <FaultsContext value={{ fields: faults, setShown }}>
        <Gallery hasGutter minWidths={{ default: '100%', sm: '13rem' }}>
          <ChoiceField label="Time" path="days" value={span} onChange={setSpan} choices={choices} />
          {span === 'between' && (
            <>
              <TextField label="From" path="since" type="datetime-local" value={since} onChange={setSince} />
              <TextField label="Until" path="until" type="datetime-local" value={until} onChange={setUntil} />
            </>
          )}
          <TextField label="User contains" path="user" value={user} onChange={setUser} />
          <TextField label="Host contains" path="host" value={host} onChange={setHost} />
          <TextField label="Workspace" path="workspace" value={workspace} onChange={setWorkspace} />
          <TextField label="Client" path="client" value={client} onChange={setClient} placeholder="its identity" />
          {events && (
            <>
              <TextField
                label="Events"
                path="code"
                value={code}
                onChange={setCode}
                placeholder="502, 503"
                help={named.length === 0 ? undefined : named.join(', ')}
              />
              <Several label="Categories" choices={categories} chosen={category} onChange={setCategory} />
            </>
          )}
          {kind === 'activity' && (
            <Several label="Severity" choices={severities} chosen={severity} onChange={setSeverity} />
          )}
          {kind !== 'status' && (
            <FormGroup label="Instances" role="group">
              <CheckField label="All that share the database of events" checked={all} onChange={setAll} />
              {faults
                .filter((f) => f.path === 'instances')
                .map((f) => (
                  <p key={f.message}>{f.message}</p>
                ))}
            </FormGroup>
          )}
        </Gallery>
      </FaultsContext>
      <ActionGroup>
        <Button type="submit">Show</Button>
        <Button variant="link" onClick={() => onShow({})}>
          Show all of the last 7 days
        </Button>
      </ActionGroup>
    </Form>
  );
}
