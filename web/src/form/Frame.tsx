import { FormGroup, FormHelperText, HelperText, HelperTextItem } from '@patternfly/react-core';
import { UndoIcon } from '@patternfly/react-icons/dist/esm/icons/undo-icon';
import type { ReactNode } from 'react';
import { ActionButton } from '../components/ActionButton';
import { FaultTexts } from './FaultTexts';
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
  const reset = !isRequired && explicit && schema.default !== undefined;
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
          <ActionButton
            variant="link"
            isInline
            icon={<UndoIcon />}
            not={readOnly}
            onClick={() => set(undefined)}
            aria-label={`Reset ${label} to its default: ${shownDefault(field)}`}
          >
            Default: {shownDefault(field)}
          </ActionButton>
        )
      }
    >
      {children}
      <FormHelperText>
        <HelperText id={belowId(path)} isLiveRegion>
          <FaultTexts errors={errors} warnings={warnings} label={label} />
          {says !== undefined && says !== '' && <HelperTextItem>{says}</HelperTextItem>}
          {inWords !== undefined && <HelperTextItem>Default: {inWords}.</HelperTextItem>}
        </HelperText>
      </FormHelperText>
    </FormGroup>
  );
}

/** The default of a field as people read it. */
export function shownDefault({ schema }: FieldState): string {
  if (schema.default === true) return 'on';
  if (schema.default === false) return 'off';
  return typeof schema.default === 'string' || typeof schema.default === 'number' ? String(schema.default) : '';
}

/** Whether a field is marked as wrong, as PatternFly names it. */
export const validity = ({
  errors,
  warnings,
}: Pick<FieldState, 'errors' | 'warnings'>): 'error' | 'warning' | 'default' =>
  errors.length > 0 ? 'error' : warnings.length > 0 ? 'warning' : 'default';
