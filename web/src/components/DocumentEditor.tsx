import { lazy, Suspense } from 'react';
import type { FieldError } from '../api/problem';
import { Waiting } from './Waiting';

const CodeEditor = lazy(async () => ({ default: (await import('./CodeEditor')).CodeEditor }));

export interface DocumentEditorProps {
  /** The text. What is typed is kept by the editor until another text comes. */
  value: string;
  onChange?: (text: string) => void;
  /** What is wrong with it: marked at the line, or at the line of the path. */
  errors?: FieldError[];
  warnings?: FieldError[];
  /** What the text is, for screen readers and people. */
  label: string;
  readOnly?: boolean;
  language?: 'yaml' | 'text';
}

/** A text of many lines with numbers, colours and marks at what is wrong. The editor loads when one is shown. */
export function DocumentEditor(props: DocumentEditorProps) {
  return (
    <Suspense fallback={<Waiting what={props.label} height="20rem" />}>
      <CodeEditor {...props} />
    </Suspense>
  );
}
