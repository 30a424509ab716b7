import { ActionGroup, Alert, Button, Form, PageSection } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate, useParams } from 'react-router';
import { api, data } from '../../api/client';
import { asProblem } from '../../api/problem';
import { ActionButton } from '../../components/ActionButton';
import { FaultsContext } from '../../components/faults';
import { useMessages } from '../../components/messages';
import { ModulePage } from '../../components/ModulePage';
import { ProblemAlert } from '../../components/ProblemAlert';
import { useReadOnly } from '../../session/session';
import { RuleForm } from './RuleForm';
import { blank, condition, type Rule } from './rules';
import { Trial } from './Trial';
import { Waiting } from '../../components/Waiting';

const above = [
  { name: 'Alerts', to: '/alerts' },
  { name: 'Rules', to: '/alerts/rules' },
];

/** Makes a rule. */
export const NewRule = () => (
  <ModulePage title="Make a rule" above={above}>
    <Editor rule={blank} isNew />
  </ModulePage>
);

/** One rule, to be looked at and changed. */
export function RulePage() {
  const { name = '' } = useParams();
  const query = useQuery({
    queryKey: ['alert-rule', name],
    queryFn: () => data(api.GET('/alert-rules/{name}', { params: { path: { name } } })),
    refetchOnWindowFocus: false,
  });
  if (!query.data) {
    return (
      <ModulePage title={name} above={above}>
        {query.isError ? (
          <ProblemAlert problem={query.error} title="The rule could not be read" retry={() => void query.refetch()} />
        ) : (
          <Waiting what="the rule" />
        )}
      </ModulePage>
    );
  }
  const { origin, by, changed, ...rule } = query.data;
  return (
    <ModulePage title={name} above={above} says={condition(rule)}>
      {origin === 'changed' && (
        <Alert
          isInline
          isPlain
          variant="info"
          title={`It comes with Dormer, and was changed by ${by ?? 'somebody'}.`}
        />
      )}
      <Editor key={changed ?? ''} rule={rule} isNew={false} />
    </ModulePage>
  );
}

function Editor({ rule: saved, isNew }: { rule: Rule; isNew: boolean }) {
  const [rule, setRule] = useState(saved);
  const [problem, setProblem] = useState<unknown>();
  const [shown, setShown] = useState<string[]>([]);
  const [busy, setBusy] = useState(false);
  const readOnly = useReadOnly();
  const client = useQueryClient();
  const navigate = useNavigate();
  const { done } = useMessages();
  const name = rule.name.trim();
  const attempt = async (act: () => Promise<void>) => {
    setBusy(true);
    setProblem(undefined);
    try {
      await act();
    } catch (thrown) {
      setProblem(thrown);
    } finally {
      setBusy(false);
    }
  };
  const body = { ...rule, name };
  const save = () =>
    attempt(async () => {
      await api.POST('/alert-rules/validate', { body });
      await api.PUT('/alert-rules/{name}', { params: { path: { name } }, body });
      await client.invalidateQueries({ queryKey: ['alert-rule'] });
      done(`${name} was saved; it counts within 15 seconds`);
      await navigate('/alerts/rules');
    });
  const check = () =>
    attempt(async () => {
      await api.POST('/alert-rules/validate', { body });
      done('Nothing is wrong with the rule');
    });
  const fields = problem === undefined ? [] : asProblem(problem).fields;
  return (
    <PageSection padding={{ default: 'noPadding' }}>
      <Form
        isWidthLimited
        onSubmit={(e) => {
          e.preventDefault();
          if (readOnly === undefined && !busy) void save();
        }}
      >
        {problem !== undefined && <ProblemAlert problem={problem} said={shown} />}
        <FaultsContext value={{ fields, setShown }}>
          <RuleForm rule={rule} onChange={setRule} isNew={isNew} />
        </FaultsContext>
        <Trial rule={rule} />
        <ActionGroup>
          <ActionButton type="submit" isLoading={busy}>
            {isNew ? 'Make the rule' : 'Save'}
          </ActionButton>
          <Button variant="secondary" onClick={() => void check()}>
            Check
          </Button>
          <Button variant="link" onClick={() => void navigate('/alerts/rules')}>
            Cancel
          </Button>
        </ActionGroup>
      </Form>
    </PageSection>
  );
}
