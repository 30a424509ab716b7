import { TextArea, TextInput } from '@patternfly/react-core';
import type { ReactNode } from 'react';
import type { Json } from '../document/json';
import { Choice, Choices, Suggested, Switched, type Option } from './Choice';
import { Color, Day } from './Day';
import { belowId, Frame, shownDefault, validity } from './Frame';
import { asReadOnly, inputId, useField, type FieldState } from './form';
import { Measure } from './Measure';
import { words } from '../document/reading';
import { kindOf } from './schema';
import { Texts } from './Texts';

interface Props {
  path: string;
  /** What the field is called; by default the last member of its path in words. */
  label?: string;
  /** Replaces what the schema says about it. */
  help?: ReactNode;
  /** Lines of a longer text; absent: one. */
  lines?: number;
  /** A command or another text in which each character counts. */
  mono?: boolean;
  /** A choice is a list to drop down even when there is room for radio buttons. */
  compact?: boolean;
  /** What can be chosen for a text or a number, from somewhere else than the schema. */
  options?: Option[];
  /** Shown in an empty field that has no default. */
  example?: string;
  /** It is shown and not changed here. */
  fixed?: boolean;
  /** It must be given where it stands, though the schema asks for one of several. */
  isRequired?: boolean;
}

/** One value of the document, with the control that its schema asks for. */
export function Field({ path, label = named(path), isRequired, ...props }: Props) {
  const field = useField(path);
  return <Control field={isRequired === true ? { ...field, isRequired } : field} label={label} {...props} />;
}

interface Given {
  field: FieldState;
  label: string;
}

const named = (path: string): string => words(path.slice(path.lastIndexOf('.') + 1));

function Control({ field, label, options, compact = false, ...props }: Omit<Props, 'path' | 'isRequired'> & Given) {
  const { help, fixed } = props;
  if (fixed === true) return <Text field={{ ...field, readOnly: 'It is not changed.' }} label={label} {...props} />;
  if (options !== undefined) return <Suggested field={field} label={label} help={help} options={options} />;
  switch (kindOf(field.schema)) {
    case 'boolean':
      return <Switched field={field} label={label} help={help} />;
    case 'choice':
      return <Choice field={field} label={label} help={help} compact={compact} />;
    case 'choices':
      return <Choices field={field} label={label} help={help} />;
    case 'duration':
    case 'latency':
    case 'size':
    case 'rate':
    case 'share':
      return <Measure field={field} label={label} help={help} />;
    case 'color':
      return <Color field={field} label={label} help={help} />;
    case 'date':
      return <Day field={field} label={label} help={help} />;
    case 'texts':
      return <Texts field={field} label={label} help={help} example={props.example} mono={props.mono} />;
    case 'constant':
    case 'text':
    case 'time':
    case 'integer':
      return <Text field={field} label={label} {...props} />;
    default:
      return <Free field={field} label={label} help={help} />;
  }
}

/** What stands in an empty input: the default, or how a value looks. */
const placeholder = (field: FieldState, example?: string): string => {
  const standard = shownDefault(field);
  return standard === '' ? (example ?? '') : `default: ${standard}`;
};

const asShown = (value: Json | undefined): string =>
  value === undefined || value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);

interface TextProps {
  field: FieldState;
  label: string;
  help?: ReactNode;
  lines?: number;
  mono?: boolean;
  example?: string;
}

/** A text of one line or several, a time of day, or a whole number. */
function Text({ field, label, help, lines, mono = false, example }: TextProps) {
  const { path, schema, value, set, isRequired } = field;
  const kind = kindOf(schema);
  const readOnly = kind === 'constant' ? 'It is not changed.' : field.readOnly;
  const take = (text: string) => {
    if (text === '') set(isRequired && kind === 'text' ? '' : undefined);
    else set(kind === 'integer' && /^-?[0-9]{1,15}$/u.test(text) ? Number(text) : text);
  };
  const input = {
    id: inputId(path),
    value: asShown(value),
    placeholder: placeholder(field, example),
    validated: validity(field),
    'aria-describedby': belowId(path),
    ...asReadOnly(readOnly),
    isRequired,
    spellCheck: lines !== undefined && !mono,
    style: mono ? { fontFamily: 'var(--pf-t--global--font--family--mono)' } : undefined,
  };
  return (
    <Frame field={field} label={label} help={help}>
      {lines === undefined ? (
        <TextInput
          {...input}
          type={kind === 'integer' ? 'number' : kind === 'time' ? 'time' : 'text'}
          min={schema.minimum}
          max={schema.maximum}
          autoComplete="off"
          onChange={(_, text) => take(text)}
        />
      ) : (
        <TextArea {...input} rows={lines} resizeOrientation="vertical" onChange={(_, text) => take(text)} />
      )}
    </Frame>
  );
}

/** A value of any form, as JSON. */
function Free({ field, label, help }: { field: FieldState; label: string; help?: ReactNode }) {
  const { path, value, set, readOnly } = field;
  const take = (text: string) => {
    try {
      set(text.trim() === '' ? undefined : (JSON.parse(text) as Json));
    } catch {
      set(text);
    }
  };
  return (
    <Frame field={field} label={label} help={help}>
      <TextArea
        id={inputId(path)}
        value={typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value, null, 2)}
        rows={3}
        resizeOrientation="vertical"
        {...asReadOnly(readOnly)}
        aria-describedby={belowId(path)}
        validated={validity(field)}
        onChange={(_, text) => take(text)}
        style={{ fontFamily: 'var(--pf-t--global--font--family--mono)' }}
      />
    </Frame>
  );
}
