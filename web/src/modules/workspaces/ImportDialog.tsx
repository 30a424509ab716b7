import { Content, FileUpload, FormGroup, Radio, Stack, StackItem } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { Problem, type Schemas } from '../../api/client';
import { FormDialog } from '../../components/FormDialog';
import { TextField } from '../../components/inputs';
import { Loaded } from '../../components/Loaded';
import { useMessages } from '../../components/messages';
import { changes } from '../../document/difference';
import type { Json } from '../../document/json';
import { fromYAML } from '../../document/yaml';
import { commit, create, load } from './calls';
import { ChangeList } from './ChangeList';
import { anew, freeName, identityOf, matched, over } from './importing';

interface Props {
  all: Schemas['Workspace'][];
  onClose: () => void;
}

/** The largest file that is read, in bytes: the server takes no larger document. */
const largest = 4 * 1024 * 1024;

/** Makes a workspace of a file, or a new revision of the one that it is about, after the differences are seen. */
export function ImportDialog({ all, onClose }: Props) {
  const queries = useQueryClient();
  const say = useMessages();
  const navigate = useNavigate();
  const [file, setFile] = useState('');
  const [text, setText] = useState('');
  const [replace, setReplace] = useState(true);
  const [name, setName] = useState<string>();
  const [message, setMessage] = useState<string>();
  const read = text === '' ? undefined : fromYAML(text);
  const document = read && 'document' in read ? read.document : undefined;
  const there = document === undefined ? undefined : matched(document, all);
  const wanted = name ?? freeName(document === undefined ? '' : identityOf(document).name || 'Imported', all);
  const current = useQuery({
    queryKey: ['workspace', there?.id],
    enabled: there !== undefined,
    queryFn: () => load(there?.id ?? ''),
  });
  const replaces = there !== undefined && replace;
  const fault = read && 'error' in read ? `Line ${read.error.line}: ${read.error.message}` : undefined;
  const says = message ?? (file === '' ? 'Imported' : `Imported from ${file}`);

  const act = async () => {
    if (document === undefined) return;
    if (replaces && !current.data) throw new Problem({ title: 'The workspace is not loaded yet', status: 0 });
    const made =
      replaces && current.data
        ? await commit(there.id, over(document, there.id), current.data.tag, says)
        : await create(anew(document, wanted), says);
    await queries.invalidateQueries({ queryKey: ['workspace'] });
    say.done(`${made.name} is imported: revision ${made.revision}`);
    await navigate(`/workspaces/${made.id}`);
  };
  return (
    <FormDialog
      title="Import a workspace"
      says="A YAML or JSON file, as it is exported here or kept for dormer apply."
      verb={replaces ? 'Replace' : 'Import'}
      act={act}
      onClose={onClose}
      not={document === undefined ? 'Choose a file first.' : undefined}
    >
      <FormGroup label="File" fieldId="import-file" isRequired>
        <FileUpload
          id="import-file"
          type="text"
          value={text}
          filename={file}
          filenamePlaceholder="Drop a file here, or paste its text below"
          browseButtonText="Choose"
          textAreaPlaceholder=""
          browseButtonAriaDescribedby="import-fault"
          aria-label="Text of the document"
          allowEditingUploadedText
          onFileInputChange={(_, f) => setFile(f.name)}
          onDataChange={(_, t) => setText(t)}
          onTextChange={(_, t) => setText(t)}
          onClearClick={() => {
            setFile('');
            setText('');
          }}
          dropzoneProps={{
            maxSize: largest,
            accept: { 'application/yaml': ['.yaml', '.yml'], 'application/json': ['.json'] },
          }}
          validated={fault === undefined ? 'default' : 'error'}
        />
        <div id="import-fault" aria-live="polite">
          {fault !== undefined && <Content component="p">{fault}</Content>}
        </div>
      </FormGroup>
      {there && (
        <FormGroup role="radiogroup" label={`${there.name} is there already`} isStack fieldId="import-how">
          <Radio
            id="import-replace"
            name="import-how"
            label="Commit it as a new revision of that workspace"
            isChecked={replace}
            onChange={() => setReplace(true)}
          />
          <Radio
            id="import-new"
            name="import-how"
            label="Make a new workspace of it"
            isChecked={!replace}
            onChange={() => setReplace(false)}
          />
        </FormGroup>
      )}
      {replaces && (
        <Loaded query={current} what="workspace">
          {(held) => <Replaced before={held.document} after={over(document ?? null, there.id)} />}
        </Loaded>
      )}
      {document !== undefined && !replaces && (
        <TextField label="Name" path="metadata.name" isRequired value={wanted} onChange={setName} autoComplete="off" />
      )}
      <TextField label="Message" path="message" value={says} onChange={setMessage} autoComplete="off" />
    </FormDialog>
  );
}

function Replaced({ before, after }: { before: Json; after: Json }) {
  return (
    <Stack>
      <StackItem>
        <Content component="p">What changes by it:</Content>
      </StackItem>
      <StackItem>
        <ChangeList changes={changes(before, after)} before={before} after={after} />
      </StackItem>
    </Stack>
  );
}
