import { FormFieldGroup, FormFieldGroupHeader, Radio } from '@patternfly/react-core';
import { useId, useState } from 'react';
import { CheckField, ChoiceField, TextField } from '../../components/inputs';
import { useEventKinds } from '../../report/eventKinds';
import { kindsObserved, type Rule } from './rules';

interface Props {
  rule: Rule;
  onChange: (rule: Rule) => void;
  /** Whether it gets a name; one that is there keeps its own. */
  isNew: boolean;
}

type Events = NonNullable<Rule['events']>;
type State = NonNullable<Rule['state']>;

const freshEvents: Events = { severity: 'error', counts: 'events', threshold: 20, window: '10m', by: 'client' };
const freshState: State = { observed: 'disk_used', comparison: 'above', value: 85 };

const severities = [
  { value: 'warning', name: 'warning' },
  { value: 'error', name: 'error' },
];
const leasts = [
  { value: '', name: 'any' },
  { value: 'warning', name: 'at least warning' },
  { value: 'error', name: 'error' },
];
const counted = [
  { value: 'events', name: 'events' },
  { value: 'clients', name: 'clients, however often each fails' },
];
const by = [
  { value: 'client', name: 'each client' },
  { value: 'workspace', name: 'each workspace' },
  { value: 'image', name: 'each image' },
  { value: 'user', name: 'each user' },
  { value: 'instance', name: 'all together' },
];
const comparisons = [
  { value: 'above', name: 'above' },
  { value: 'below', name: 'below' },
];

/** The fields of a rule. */
export function RuleForm({ rule, onChange, isNew }: Props) {
  const id = useId();
  const set = (change: Partial<Rule>) => onChange({ ...rule, ...change });
  const { events: _, state: __, ...common } = rule;
  return (
    <>
      {isNew && (
        <TextField
          label="Name"
          path="name"
          value={rule.name}
          onChange={(name) => set({ name })}
          isRequired
          help="Letters, digits, dots, hyphens and underscores."
        />
      )}
      <CheckField
        label="The rule is on"
        help="A rule that is off raises nothing, and its alerts clear."
        checked={rule.enabled}
        onChange={(enabled) => set({ enabled })}
      />
      <ChoiceField
        label="Severity of its alerts"
        path="severity"
        value={rule.severity}
        onChange={(severity) => set({ severity })}
        choices={severities}
      />
      <TextField
        label="What its alerts say"
        path="text"
        value={rule.text}
        onChange={(text) => set({ text })}
        isRequired
        help="{subject}, {count}, {value}, {threshold}, {window}, {for} and {rule} are filled in."
      />
      <TextField
        label="Clears after"
        path="clear_after"
        value={rule.clear_after}
        onChange={(clear_after) => set({ clear_after })}
        isRequired
        help="How long the condition must be over: 30m, 2h, 1d."
      />
      <FormFieldGroup
        header={<FormFieldGroupHeader titleText={{ text: 'Condition', id: `${id}-condition` }} />}
        role="group"
        aria-labelledby={`${id}-condition`}
      >
        <Radio
          id={`${id}-events`}
          name={`${id}-condition`}
          label="Enough events come within a time"
          isChecked={rule.events !== undefined}
          onChange={() => onChange({ ...common, events: freshEvents })}
        />
        <Radio
          id={`${id}-state`}
          name={`${id}-condition`}
          label="Something that the server observes is above or below a value"
          isChecked={rule.state !== undefined}
          onChange={() => onChange({ ...common, state: freshState })}
        />
        {rule.events && <EventFields events={rule.events} onChange={(events) => onChange({ ...common, events })} />}
        {rule.state && <StateFields state={rule.state} onChange={(state) => onChange({ ...common, state })} />}
      </FormFieldGroup>
    </>
  );
}

/** The numbers in a text. */
const codesOf = (text: string): number[] => (text.match(/\d+/g) ?? []).map(Number);

function EventFields({ events, onChange }: { events: Events; onChange: (events: Events) => void }) {
  const kinds = useEventKinds();
  const [typed, setTyped] = useState('');
  const written = (events.codes ?? []).join(', ');
  // What is typed stays as it is while it says the same: "503," on its way to "503, 402".
  const text = codesOf(typed).join(', ') === written ? typed : written;
  const set = (change: Partial<Events>) => onChange({ ...events, ...change });
  const named = (events.codes ?? []).map((c) => kinds.find((k) => k.code === c)?.text).filter((t) => t !== undefined);
  const categories = [...new Set(kinds.map((k) => k.category))].map((c) => ({ value: c, name: c }));
  return (
    <>
      <TextField
        label="Events"
        path="events.codes"
        value={text}
        onChange={(now) => {
          setTyped(now);
          set({ codes: codesOf(now) });
        }}
        placeholder="all"
        help={named.length === 0 ? 'Numbers of the catalogue, as 503, 402; none: all.' : named.join(', ')}
      />
      <ChoiceField
        label="Severity of the events"
        path="events.severity"
        value={events.severity ?? ''}
        onChange={(severity) => set({ severity })}
        choices={leasts}
      />
      <ChoiceField
        label="Category"
        path="events.category"
        value={events.category ?? ''}
        onChange={(category) => set({ category })}
        choices={[{ value: '', name: 'any' }, ...categories]}
      />
      <ChoiceField
        label="What is counted"
        path="events.counts"
        value={events.counts ?? 'events'}
        onChange={(counts) => set({ counts })}
        choices={counted}
      />
      <TextField
        label="How many"
        path="events.threshold"
        type="number"
        value={String(events.threshold)}
        onChange={(n) => set({ threshold: Math.trunc(Number(n)) })}
        isRequired
      />
      <TextField
        label="Within"
        path="events.window"
        value={events.window}
        onChange={(window) => set({ window })}
        isRequired
        help="10s to 7d, as 10m or 1h."
      />
      <ChoiceField
        label="Counted apart for"
        path="events.by"
        value={events.by}
        onChange={(value) => set({ by: value })}
        choices={by}
      />
    </>
  );
}

function StateFields({ state, onChange }: { state: State; onChange: (state: State) => void }) {
  const set = (change: Partial<State>) => onChange({ ...state, ...change });
  return (
    <>
      <ChoiceField
        label="What is observed"
        path="state.observed"
        value={state.observed}
        onChange={(observed) => set({ observed })}
        choices={kindsObserved.map(({ value, name, unit }) => ({
          value,
          name: unit === undefined ? name : `${name}, ${unit}`,
        }))}
      />
      <ChoiceField
        label="Is"
        path="state.comparison"
        value={state.comparison}
        onChange={(comparison) => set({ comparison })}
        choices={comparisons}
      />
      <TextField
        label="Value"
        path="state.value"
        type="number"
        value={String(state.value)}
        onChange={(n) => set({ value: Number(n) })}
        isRequired
      />
      <TextField
        label="For at least"
        path="state.for"
        value={state.for ?? ''}
        onChange={(text) => set({ for: text })}
        placeholder="at once"
        help="As 5m; nothing: at once."
      />
    </>
  );
}
