import { Checkbox, FormSelect, FormSelectOption, Radio, Switch } from '@patternfly/react-core';
import type { ReactNode } from 'react';
import { asList } from '../document/json';
import { belowId, Frame, shownDefault, validity } from './Frame';
import { inputId, type FieldState } from './form';
import { words } from '../document/reading';
import { explanations } from './schema';

/** Something that can be chosen. */
export interface Option {
  value: string | number;
  name: string;
}

interface Props {
  field: FieldState;
  label: string;
  help?: ReactNode;
}

/** Up to this many values are radio buttons: all are seen, with what they mean. */
const fewValues = 4;

/** One of the values that the schema lists, with what each means. */
export function Choice({ field, label, help, compact }: Props & { compact: boolean }) {
  const { path, schema, value, set, isRequired, readOnly } = field;
  const values = schema.enum ?? [];
  const { of, general } = explanations(schema.description ?? '', values);
  const standard = shownDefault(field);
  const given = typeof value === 'string' ? value : '';
  const foreign = given !== '' && !values.includes(given);
  const chosen = given === '' ? standard : given;
  if (!compact && !foreign && values.length <= fewValues && Object.keys(of).length > 0) {
    return (
      <Frame field={field} label={label} help={help ?? general} group="radiogroup">
        {values.map((v, i) => (
          <Radio
            key={v}
            id={i === 0 ? inputId(path) : `${inputId(path)}:${v}`}
            name={inputId(path)}
            label={v === standard ? `${words(v)} (default)` : words(v)}
            description={spoken(of[v])}
            isChecked={v === chosen}
            isDisabled={readOnly !== undefined}
            onChange={() => set(v)}
          />
        ))}
      </Frame>
    );
  }
  const said = of[chosen] ?? '';
  const about = said === '' ? schema.description : `${general} ${words(chosen)}: ${said}.`;
  return (
    <Frame field={field} label={label} help={help ?? about}>
      <FormSelect
        id={inputId(path)}
        value={chosen}
        isDisabled={readOnly !== undefined}
        isRequired={isRequired}
        validated={validity(field)}
        aria-describedby={belowId(path)}
        onChange={(_, v) => set(v === '' ? undefined : v)}
      >
        {standard === '' && !isRequired && <FormSelectOption value="" label="Not set" />}
        {values.map((v) => (
          <FormSelectOption key={v} value={v} label={v === standard ? `${words(v)} (default)` : words(v)} />
        ))}
        {foreign && <FormSelectOption value={given} label={given} />}
      </FormSelect>
    </Frame>
  );
}

/** What a value means, as a sentence. */
const spoken = (text: string | undefined): string | undefined =>
  text === undefined || text === '' ? undefined : `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

/** Any of the values that the schema lists. */
export function Choices({ field, label, help }: Props) {
  const { path, schema, value, set, readOnly } = field;
  const values = schema.items?.enum ?? [];
  const chosen = asList(value).filter((v) => typeof v === 'string');
  const all = [...values, ...chosen.filter((v) => !values.includes(v))];
  return (
    <Frame field={field} label={label} help={help} group="group">
      <div style={{ display: 'flex', flexWrap: 'wrap', columnGap: '1.5rem', rowGap: '0.25rem' }}>
        {all.map((v, i) => (
          <Checkbox
            key={v}
            id={i === 0 ? inputId(path) : `${inputId(path)}:${v}`}
            label={words(v)}
            isChecked={chosen.includes(v)}
            isDisabled={readOnly !== undefined}
            onChange={(_, on) => {
              const now = all.filter((a) => (a === v ? on : chosen.includes(a)));
              set(now.length === 0 ? undefined : now);
            }}
          />
        ))}
      </div>
    </Frame>
  );
}

/** Yes or no. */
export function Switched({ field, label, help }: Props) {
  const { path, schema, value, set, readOnly } = field;
  const on = typeof value === 'boolean' ? value : schema.default === true;
  return (
    <Frame field={field} label={label} help={help}>
      <Switch
        id={inputId(path)}
        aria-label={label}
        label={on ? 'On' : 'Off'}
        isChecked={on}
        isDisabled={readOnly !== undefined}
        aria-describedby={belowId(path)}
        onChange={(_, checked) => set(schema.default === undefined && !checked ? undefined : checked)}
      />
    </Frame>
  );
}

/** One of what exists elsewhere. What the document says stays possible even when it does not exist. */
export function Suggested({ field, label, help, options }: Props & { options: Option[] }) {
  const { path, value, set, isRequired, readOnly } = field;
  const given = typeof value === 'string' || typeof value === 'number' ? value : '';
  const foreign = given !== '' && options.every((o) => o.value !== given);
  return (
    <Frame field={field} label={label} help={help}>
      <FormSelect
        id={inputId(path)}
        value={String(given)}
        isDisabled={readOnly !== undefined}
        isRequired={isRequired}
        validated={validity(field)}
        aria-describedby={belowId(path)}
        onChange={(_, text) => {
          if (text === '') set(isRequired ? '' : undefined);
          else set(options.find((o) => String(o.value) === text)?.value ?? given);
        }}
      >
        {options.every((o) => o.value !== '') && (
          <FormSelectOption value="" label={isRequired ? 'Choose' : 'Not set'} isPlaceholder={isRequired} />
        )}
        {foreign && <FormSelectOption value={String(given)} label={`${given} (does not exist here)`} />}
        {options.map((o) => (
          <FormSelectOption key={o.value} value={String(o.value)} label={o.name} />
        ))}
      </FormSelect>
    </Frame>
  );
}
