import { ActionGroup, FormGroup, FormHelperText, HelperText, HelperTextItem, Radio } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useNavigate } from 'react-router';
import { api, data } from '../../api/client';
import { ActionButton } from '../../components/ActionButton';
import { ChangingFields } from '../../components/ChangingFields';
import { ChoiceField, TextField } from '../../components/inputs';
import { LinkButton } from '../../components/LinkButton';
import { useMessages } from '../../components/messages';
import { ModulePage } from '../../components/ModulePage';
import { SubmissionForm } from '../../components/SubmissionForm';
import { useSubmission } from '../../components/submission';
import { create } from './calls';
import { begun, templates, type Template } from './templates';

/** Makes a workspace: a name, an image, and something to begin with. The rest is done in the editor. */
export function NewWorkspace() {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const say = useMessages();
  const images = useQuery({ queryKey: ['image'], queryFn: () => data(api.GET('/images')) });
  const [name, setName] = useState('');
  const [description, setDescription] = useState('');
  const [chosen, setChosen] = useState<string>();
  const [template, setTemplate] = useState<Template | undefined>(templates[0]);
  const submission = useSubmission();
  const names = (images.data?.items ?? []).map((i) => i.name);
  const image = chosen ?? names[0] ?? '';
  const submit = async () => {
    if (!template) return;
    const made = await create(begun(template, name.trim(), description, image.trim()), '');
    await queries.invalidateQueries({ queryKey: ['workspace'] });
    say.done(`${made.name} is made`);
    await navigate(`/workspaces/${made.id}`);
  };
  const not = [name.trim() === '' && 'a name', image.trim() === '' && 'an image'].filter(Boolean).join(' and ');
  return (
    <ModulePage
      title="New workspace"
      above={[{ name: 'Workspaces', to: '/workspaces' }]}
      says="Nobody gets it before it is granted to somebody, in the editor that opens next."
    >
      <SubmissionForm
        isWidthLimited
        submission={submission}
        onSubmit={() => {
          if (not === '') void submission.attempt(submit);
        }}
      >
        <ChangingFields>
          <TextField
            label="Name"
            path="metadata.name"
            help="Users see it in their menu."
            isRequired
            value={name}
            onChange={setName}
            autoComplete="off"
          />
          <TextField
            label="Description"
            path="metadata.description"
            help="For administrators."
            lines={2}
            value={description}
            onChange={setDescription}
          />
          {names.length > 0 ? (
            <ChoiceField
              label="Image"
              path="spec.machine.image.name"
              help="Machines get its newest version; the editor can keep them at one."
              isRequired
              value={image}
              onChange={setChosen}
              choices={names.map((n) => ({ value: n, name: n }))}
            />
          ) : (
            <TextField
              label="Image"
              path="spec.machine.image.name"
              help={
                <>
                  The repository has no image yet. Its name can be given now; <Link to="/images">upload it</Link> before
                  users come.
                </>
              }
              isRequired
              value={image}
              onChange={setChosen}
              autoComplete="off"
            />
          )}
          <FormGroup role="radiogroup" label="Begin with" isStack fieldId="template">
            {templates.map((t) => (
              <Radio
                key={t.id}
                id={`template-${t.id}`}
                name="template"
                label={t.name}
                description={t.says}
                isChecked={t.id === template?.id}
                onChange={() => setTemplate(t)}
              />
            ))}
            <FormHelperText>
              <HelperText>
                <HelperTextItem>
                  A document from a file or from another server is imported in the{' '}
                  <Link to="/workspaces?import">list</Link>; a workspace that is there is cloned there.
                </HelperTextItem>
              </HelperText>
            </FormHelperText>
          </FormGroup>
        </ChangingFields>
        <ActionGroup>
          <ActionButton type="submit" not={not === '' ? undefined : `It needs ${not}.`} isLoading={submission.busy}>
            Create
          </ActionButton>
          <LinkButton variant="link" to="/workspaces">
            Cancel
          </LinkButton>
        </ActionGroup>
      </SubmissionForm>
    </ModulePage>
  );
}
