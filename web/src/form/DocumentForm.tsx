import { Form, HelperText, HelperTextItem } from '@patternfly/react-core';
import { useCallback, useLayoutEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import type { FieldError } from '../api/problem';
import type { Json } from '../document/json';
import { withValue } from '../document/paths';
import { FormContext, type FormState } from './form';
import type { Schema } from './schema';

interface Props {
  schema: Schema;
  document: Json;
  /** Takes the changed document. */
  onChange: (document: Json) => void;
  errors?: FieldError[];
  warnings?: FieldError[];
  /** Why nothing may be changed; undefined: everything may. */
  readOnly?: string | undefined;
  /** Object that stays even when nothing is left in it. */
  keep?: string;
  children: ReactNode;
}

const none: FieldError[] = [];

/** A form over a document that a schema describes; its fields are the Field elements anywhere below. */
export function DocumentForm(props: Props) {
  const { schema, document, onChange, errors = none, warnings = none, readOnly, keep = '', children } = props;
  const counts = useRef(new Map<string, number>());
  const [shown, setShown] = useState<ReadonlySet<string>>(new Set());
  const show = useCallback((paths: string[], is: boolean) => {
    for (const p of paths) counts.current.set(p, (counts.current.get(p) ?? 0) + (is ? 1 : -1));
    setShown(new Set([...counts.current].filter(([, n]) => n > 0).map(([p]) => p)));
  }, []);
  // What is changed twice before the page is drawn again is changed on top of the first change.
  const latest = useRef(document);
  useLayoutEffect(() => {
    latest.current = document;
  }, [document]);
  const change = useCallback(
    (path: string, value: Json | undefined) => {
      latest.current = withValue(latest.current, path, value, keep);
      onChange(latest.current);
    },
    [onChange, keep],
  );
  const form = useMemo<FormState>(
    () => ({ schema, document, change, errors, warnings, readOnly, shown, show }),
    [schema, document, change, errors, warnings, readOnly, shown, show],
  );
  return (
    <FormContext value={form}>
      <Form onSubmit={(e) => e.preventDefault()}>
        {readOnly !== undefined && (
          <HelperText>
            <HelperTextItem variant="indeterminate">{readOnly}</HelperTextItem>
          </HelperText>
        )}
        {children}
      </Form>
    </FormContext>
  );
}
