import { Button, FormGroup, FormHelperText, HelperText, HelperTextItem } from '@patternfly/react-core';
import { UndoIcon } from '@patternfly/react-icons/dist/esm/icons/undo-icon';
import type { ReactNode } from 'react';
import { inputId, useShown, type FieldState } from './form';

interface Props {
  field: FieldState;
  label: string;
  /** What helps beside what is wrong; the schema's description by default. */
  help?: ReactNode;
  /** The control is several: a group of radio buttons, a list of inputs. */
  group?: 'group' | 'radiogroup';
  children: ReactNode;
}

/** The identity of the texts below an input, for aria-describedby. */
export const belowId = (path: string): string => `${inputId(path)}:below`;

/** What stands around each control: label, way back to the default, help, and what is wrong. */
export function Frame({ field, label, help, group, children }: Props) {
  const { path, schema, value, set, errors, warnings, isRequired, readOnly } = field;
  useShown([path]);
  const explicit = value !== undefined && value !== schema.default;
  const reset = readOnly === undefined && !isRequired && explicit && schema.default !== undefined;
  const inWords = value === undefined ? schema['x-default'] : undefined;
  const says = help ?? schema.description;
  return (
    <FormGroup
      label={label}
      fieldId={inputId(path)}
      isRequired={isRequired}
      role={group}
      isStack={group === 'radiogroup'}
      labelInfo={
        reset && (
          <Button
            variant="link"
            isInline
            icon={<UndoIcon />}
            onClick={() => set(undefined)}
            aria-label={`Reset ${label} to its default: ${shownDefault(field)}`}
          >
            Default: {shownDefault(field)}
          </Button>
        )
      }
    >
      {children}
      <FormHelperText>
        <HelperText id={belowId(path)} isLiveRegion>
          {errors.map((message) => (
            <HelperTextItem key={message} variant="error">
              {sentence(label, message)}
            </HelperTextItem>
          ))}
          {warnings.map((message) => (
            <HelperTextItem key={message} variant="warning">
              {sentence(label, message)}
            </HelperTextItem>
          ))}
          {says !== undefined && says !== '' && <HelperTextItem>{says}</HelperTextItem>}
          {inWords !== undefined && <HelperTextItem>Default: {inWords}.</HelperTextItem>}
        </HelperText>
      </FormHelperText>
    </FormGroup>
  );
}

/** What the server says of a field goes on from the field's name: "must be given". */
const sentence = (label: string, message: string): string =>
  /^[a-z]/u.test(message) ? `${label} ${message}` : message;

/** The default of a field as people read it. */
export function shownDefault({ schema }: FieldState): string {
  if (schema.default === true) return 'on';
  if (schema.default === false) return 'off';
  return typeof schema.default === 'string' || typeof schema.default === 'number' ? String(schema.default) : '';
}

/** Whether a field is marked as wrong, as PatternFly names it. */
export const validity = ({ errors, warnings }: FieldState): 'error' | 'warning' | 'default' =>
  errors.length > 0 ? 'error' : warnings.length > 0 ? 'warning' : 'default';
