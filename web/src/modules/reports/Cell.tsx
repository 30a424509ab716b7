import { Label, type LabelProps } from '@patternfly/react-core';
import { Link } from 'react-router';
import { useZone } from '../../app/zone';
import { count } from '../../components/format';
import { Severity } from '../../components/Severity';
import { useEventKinds } from '../../report/eventKinds';
import { textOf, type Column, type Row } from '../../report/table';

const states: Record<string, LabelProps['status']> = { failed: 'danger', finished: 'success', running: 'success' };

/** A point in time, to the second. */
function Moment({ at }: { at: string }) {
  const { zone } = useZone();
  return (
    <time dateTime={at} title={at}>
      {new Date(at).toLocaleString('en-GB', { timeZone: zone, dateStyle: 'medium', timeStyle: 'medium' })}
    </time>
  );
}

/** The page that shows what a value names; undefined: there is none. */
function pageOf(column: Column, row: Row): string | undefined {
  const identity = (name: string) => (typeof row[name] === 'string' && row[name] !== '' ? row[name] : undefined);
  const client = identity('client');
  if ((column.name === 'host' || column.name === 'client') && client !== undefined) return `/clients/${client}`;
  const workspace = identity('workspace');
  // Reports of events have the identity of the workspace beside the name that it had.
  if ((column.name === 'workspace_name' || column.name === 'workspace') && workspace !== undefined) {
    return 'workspace_name' in row ? `/workspaces/${workspace}` : undefined;
  }
  return undefined;
}

/** What a number of events stands for. */
function EventName({ code }: { code: number }) {
  const kind = useEventKinds().find((k) => k.code === code);
  return `${code}${kind === undefined ? '' : ` ${kind.text}`}`;
}

/** Longer texts are sentences; more characters than names of computers have. */
const longest = 40;

interface Props {
  column: Column;
  row: Row;
  /** Whether numbers of events are said in words, too: where no description does. */
  words?: boolean;
}

/** A value of a report. */
export function Cell({ column, row, words = false }: Props) {
  const value = row[column.name];
  const text = textOf(value);
  if (text === '') return null;
  if (column.type === 'time') return <Moment at={text} />;
  if (column.type === 'flag') return value === true ? 'yes' : 'no';
  if (column.name === 'severity') return <Severity severity={text} />;
  if ((column.name === 'state' || column.name === 'result') && states[text] !== undefined) {
    return (
      <Label isCompact status={states[text]}>
        {text}
      </Label>
    );
  }
  if (column.name === 'count' && typeof value === 'number') return count(value);
  if (words && column.name === 'code') return <EventName code={Number(value)} />;
  const page = pageOf(column, row);
  if (page !== undefined) {
    return (
      <Link to={page} className="dormer-name">
        {text}
      </Link>
    );
  }
  return <span className={`dormer-name ${text.length > longest ? 'dormer-sentence' : ''}`}>{text}</span>;
}
