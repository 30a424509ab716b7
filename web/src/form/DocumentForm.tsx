import { Form, HelperText, HelperTextItem } from '@patternfly/react-core';
import { useCallback, useMemo, type FocusEvent, type ReactNode } from 'react';
import type { FieldError } from '../api/problem';
import type { Json } from '../document/json';
import { valueAt, withValue } from '../document/paths';
import { FormContext, pathOfInput, useRegistry, type FormState } from './form';
import type { Schema } from './schema';
import { useWithheld, type Withholding } from './withheld';

interface Props {
  schema: Schema;
  document: Json;
  /** Changes the document as it stands then: messages that undo outlive the form. */
  onChange: (make: (document: Json) => Json) => void;
  errors?: FieldError[];
  warnings?: FieldError[];
  /** Told what is new, where the faults are said outside of the form too; absent: the form keeps them back itself. */
  withholding?: Withholding;
  /** Why nothing may be changed; undefined: everything may. */
  readOnly?: string | undefined;
  /** Returns the object that stays though nothing is left in it when a path changed. */
  keep?: (path: string) => string;
  /** It stands within another form. */
  inner?: boolean;
  children: ReactNode;
}

const none: FieldError[] = [];
const keepNothing = (): string => '';

/** Whether the items are still there that a path leads through. */
const isThere = (document: Json, path: string): boolean =>
  !path.includes(']') || valueAt(document, path.slice(0, path.lastIndexOf(']') + 1)) !== undefined;

/** A form over a document that a schema describes; its fields are the Field elements anywhere below. */
export function DocumentForm(props: Props) {
  const {
    schema,
    document,
    onChange,
    errors: allErrors = none,
    warnings: allWarnings = none,
    withholding: given,
    readOnly,
    keep = keepNothing,
    inner = false,
    children,
  } = props;
  const { shown, show } = useRegistry();
  const own = useWithheld(document, allErrors, allWarnings);
  const { errors, warnings } = own;
  const withholding = given ?? own.withholding;
  const edit = useCallback<FormState['edit']>(
    (path, make) =>
      onChange((now) => (isThere(now, path) ? withValue(now, path, make(valueAt(now, path)), keep(path)) : now)),
    [onChange, keep],
  );
  const change = useCallback<FormState['change']>((path, value) => edit(path, () => value), [edit]);
  const form = useMemo<FormState>(
    () => ({ schema, document, change, edit, errors, warnings, readOnly, shown, show, withholding }),
    [schema, document, change, edit, errors, warnings, readOnly, shown, show, withholding],
  );
  const inside = (
    <>
      {readOnly !== undefined && (
        <HelperText>
          <HelperTextItem variant="indeterminate">{readOnly}</HelperTextItem>
        </HelperText>
      )}
      {children}
    </>
  );
  // Dialogs of the form are within it for React, wherever they stand in the page.
  const left = (e: FocusEvent) => {
    const path = pathOfInput(e.target.id);
    if (path !== undefined) withholding.leave(path);
  };
  return (
    <FormContext value={form}>
      {inner ? (
        <div className="pf-v6-c-form" onBlur={left}>
          {inside}
        </div>
      ) : (
        <Form onSubmit={(e) => e.preventDefault()} onBlur={left}>
          {inside}
        </Form>
      )}
    </FormContext>
  );
}
