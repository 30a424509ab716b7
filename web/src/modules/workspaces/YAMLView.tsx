import { Alert, Button, Content, Stack, StackItem } from '@patternfly/react-core';
import { useEffect, useState } from 'react';
import type { FieldError } from '../../api/problem';
import { DocumentEditor } from '../../components/DocumentEditor';
import { same, type Json } from '../../document/json';
import { fromYAML, toYAML } from '../../document/yaml';
import type { Work } from './useDraft';

interface Props {
  work: Work;
  errors: FieldError[];
  warnings: FieldError[];
  readOnly: boolean;
}

/**
 * The same document as YAML, both ways: what is typed here is in the form, and
 * the other way round. A text that is no document stays as it was typed.
 */
export function YAMLView({ work, errors, warnings, readOnly }: Props) {
  const [typed, setTyped] = useState<{ text: string; document: Json } | null>(null);
  const [text, setText] = useState(() => work.text?.text ?? toYAML(work.document));
  const { document, text: broken, set, setText: keepText } = work;

  useEffect(() => {
    // Comments and order of what was typed stay as long as it says the same.
    if (broken !== undefined) setText(broken.text);
    else if (typed === null || !same(typed.document, document)) setText(toYAML(document));
  }, [document, broken, typed]);

  const onChange = (now: string) => {
    const read = fromYAML(now);
    setText(now);
    if ('error' in read) {
      keepText({ text: now, ...read.error });
      return;
    }
    setTyped({ text: now, document: read.document });
    set(read.document);
  };
  const goBack = () => {
    setText(typed && same(typed.document, document) ? typed.text : toYAML(document));
    keepText(undefined);
  };
  const faults = broken === undefined ? errors : [{ path: '', line: broken.line, message: broken.message }];
  return (
    <Stack hasGutter>
      <StackItem>
        <Content component="p">
          The same document as the other tabs show, as <code>dormer apply</code> reads it. Comments are not kept by the
          server.
        </Content>
      </StackItem>
      {broken !== undefined && (
        <StackItem>
          <Alert
            isInline
            variant="danger"
            title={`Line ${broken.line}: ${broken.message}`}
            actionLinks={
              <Button variant="link" isInline onClick={goBack}>
                Go back to the last text that was a document
              </Button>
            }
          >
            The other tabs show the document as it was before; they can be used again when the text is a document.
          </Alert>
        </StackItem>
      )}
      <StackItem>
        <DocumentEditor
          label="Workspace as YAML"
          value={text}
          readOnly={readOnly}
          onChange={onChange}
          errors={faults}
          warnings={broken === undefined ? warnings : []}
        />
      </StackItem>
    </Stack>
  );
}
