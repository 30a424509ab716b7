import {
  FormSelect,
  FormSelectOption,
  InputGroup,
  InputGroupItem,
  InputGroupText,
  TextInput,
} from '@patternfly/react-core';
import { useState, type ReactNode } from 'react';
import { belowId, Frame, shownDefault, validity } from './Frame';
import { asReadOnly, inputId, type FieldState } from './form';
import { split, units } from './quantity';
import { kindOf } from './schema';

interface Props {
  field: FieldState;
  label: string;
  help?: ReactNode;
}

/** The unit that stands for the document's own text, for values of several units as 1h30m. */
const written = '*';

/** A number with its unit: 8 hours, 2 GiB, 100 Mbit/s, 50 %. */
export function Measure({ field, label, help }: Props) {
  const { path, schema, value, set, isRequired, readOnly } = field;
  const kind = kindOf(schema);
  const all = units[kind] ?? [];
  const text = typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value);
  const standard = shownDefault(field);
  const usual = split(standard)?.unit ?? all[Math.min(1, all.length - 1)]?.unit ?? '';
  const [chosen, setChosen] = useState(usual);
  const quantity = split(text);
  const fits = quantity !== undefined && all.some((u) => u.unit === quantity.unit);
  const asWritten = (text !== '' && !fits) || chosen === written;
  const unit = asWritten ? written : fits ? quantity.unit : chosen;
  const number = asWritten ? text : (quantity?.number ?? '');
  const take = (entered: string) => {
    const trimmed = entered.trim();
    if (trimmed === '') set(isRequired ? '' : undefined);
    else set(/^[0-9.]+$/u.test(trimmed) && unit !== written ? trimmed + unit : trimmed);
  };
  const first = all[0];
  return (
    <Frame field={field} label={label} help={help}>
      <InputGroup>
        <InputGroupItem isFill>
          <TextInput
            id={inputId(path)}
            value={number}
            inputMode={asWritten ? 'text' : 'decimal'}
            placeholder={standard === '' ? '' : `default: ${standard}`}
            validated={validity(field)}
            aria-describedby={belowId(path)}
            isRequired={isRequired}
            {...asReadOnly(readOnly)}
            autoComplete="off"
            onChange={(_, entered) => {
              setChosen(unit);
              take(entered);
            }}
          />
        </InputGroupItem>
        {all.length === 1 && first ? (
          <InputGroupText>{first.name}</InputGroupText>
        ) : (
          <InputGroupItem>
            <FormSelect
              aria-label={`Unit of ${label}`}
              value={unit}
              isDisabled={readOnly !== undefined}
              onChange={(_, to) => {
                setChosen(to);
                if (to !== written && quantity) set(quantity.number + to);
                else if (to !== written && text !== '') set((/^[0-9]+/u.exec(text)?.[0] ?? '0') + to);
              }}
            >
              {all.map((u) => (
                <FormSelectOption key={u.unit} value={u.unit} label={u.name} />
              ))}
              {(kind === 'duration' || asWritten) && (
                <FormSelectOption
                  value={written}
                  label={kind === 'duration' ? 'as written: 1h30m' : 'as it is written'}
                />
              )}
            </FormSelect>
          </InputGroupItem>
        )}
      </InputGroup>
    </Frame>
  );
}
