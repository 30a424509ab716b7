import { FormSelect, FormSelectOption, InputGroup, InputGroupItem, TextInput } from '@patternfly/react-core';
import type { ReactNode } from 'react';
import { zones } from '../app/zone';
import { asText } from '../document/json';
import { belowId, Frame, shownDefault, validity } from './Frame';
import { inputId, type FieldState } from './form';

interface Props {
  field: FieldState;
  label: string;
  help?: ReactNode;
}

/** A day, and the time zone in which it ends. */
export function Day({ field, label, help }: Props) {
  const { path, value, set, readOnly } = field;
  const text = asText(value);
  const [day = '', zone = ''] = text.split(/ (.*)/su);
  const take = (d: string, z: string) => set(d === '' ? undefined : z === '' ? d : `${d} ${z}`);
  const foreign = zone !== '' && !zones().includes(zone);
  return (
    <Frame field={field} label={label} help={help}>
      <InputGroup>
        <InputGroupItem>
          <TextInput
            id={inputId(path)}
            type={day === '' || /^\d{4}-\d\d-\d\d$/u.test(day) ? 'date' : 'text'}
            value={day}
            validated={validity(field)}
            aria-describedby={belowId(path)}
            readOnly={readOnly !== undefined}
            onChange={(_, d) => take(d, zone)}
          />
        </InputGroupItem>
        <InputGroupItem isFill>
          <FormSelect
            aria-label={`Time zone of ${label}`}
            value={zone}
            isDisabled={readOnly !== undefined || day === ''}
            onChange={(_, z) => take(day, z)}
          >
            <FormSelectOption value="" label="Time zone of the instance" />
            {foreign && <FormSelectOption value={zone} label={zone} />}
            {zones().map((z) => (
              <FormSelectOption key={z} value={z} label={z} />
            ))}
          </FormSelect>
        </InputGroupItem>
      </InputGroup>
    </Frame>
  );
}

/** A colour, picked or written. */
export function Color({ field, label, help }: Props) {
  const { path, value, set, readOnly } = field;
  const text = asText(value);
  const standard = shownDefault(field);
  const shown = text === '' ? standard : text;
  return (
    <Frame field={field} label={label} help={help}>
      <InputGroup>
        <InputGroupItem>
          <input
            type="color"
            aria-label={`Pick ${label}`}
            value={/^#[0-9a-f]{6}$/iu.test(shown) ? shown.toLowerCase() : '#000000'}
            disabled={readOnly !== undefined}
            onChange={(e) => set(e.target.value)}
            style={{ inlineSize: '3rem', blockSize: '100%', minBlockSize: '2rem' }}
          />
        </InputGroupItem>
        <InputGroupItem isFill>
          <TextInput
            id={inputId(path)}
            value={text}
            placeholder={standard === '' ? '#3d7ab8' : `default: ${standard}`}
            validated={validity(field)}
            aria-describedby={belowId(path)}
            readOnly={readOnly !== undefined}
            autoComplete="off"
            onChange={(_, entered) => set(entered === '' ? undefined : entered)}
          />
        </InputGroupItem>
      </InputGroup>
    </Frame>
  );
}
