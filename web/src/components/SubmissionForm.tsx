import { Form, type FormProps } from '@patternfly/react-core';
import { useEffect, useRef, useState } from 'react';
import { asProblem } from '../api/problem';
import { FaultsContext } from './faults';
import { ProblemAlert } from './ProblemAlert';
import type { Submission } from './submission';

interface Props extends Pick<FormProps, 'id' | 'isWidthLimited' | 'children'> {
  submission: Submission;
  /** Called when the form is sent. */
  onSubmit: () => void;
}

/** A form that says what was wrong: at the fields that show it, the rest above them. The first of it takes the focus. */
export function SubmissionForm({ submission: { problem }, onSubmit, children, ...rest }: Props) {
  const [shown, setShown] = useState<string[]>([]);
  const form = useRef<HTMLFormElement>(null);
  const alert = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (problem === undefined) return;
    const wrong = form.current?.querySelector<HTMLElement>('[aria-invalid="true"]') ?? alert.current;
    wrong?.focus();
  }, [problem]);
  return (
    <Form
      {...rest}
      ref={form}
      onSubmit={(e) => {
        e.preventDefault();
        onSubmit();
      }}
    >
      {problem !== undefined && (
        <div ref={alert} tabIndex={-1}>
          <ProblemAlert problem={problem} said={shown} />
        </div>
      )}
      <FaultsContext value={{ fields: problem === undefined ? [] : asProblem(problem).fields, setShown }}>
        {children}
      </FaultsContext>
    </Form>
  );
}
