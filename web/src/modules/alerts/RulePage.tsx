import { ActionGroup, Alert, Button, PageSection } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useParams } from 'react-router';
import { api, data } from '../../api/client';
import { ActionButton } from '../../components/ActionButton';
import { useMessages } from '../../components/messages';
import { ChangingFields } from '../../components/ChangingFields';
import { ModulePage } from '../../components/ModulePage';
import { ProblemAlert } from '../../components/ProblemAlert';
import { SubmissionForm } from '../../components/SubmissionForm';
import { useSubmission } from '../../components/submission';
import { ChangedElsewhere } from '../../notices/ChangedElsewhere';
import { useFollowed } from '../../notices/followed';
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
  const { origin, by, changed: _, ...rule } = query.data;
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
      <Editor key={name} rule={rule} isNew={false} />
    </ModulePage>
  );
}

function Editor({ rule: current, isNew }: { rule: Rule; isNew: boolean }) {
  const { entered: rule, enter, isOld, take } = useFollowed(current);
  const submission = useSubmission();
  const readOnly = useReadOnly();
  const client = useQueryClient();
  const navigate = useNavigate();
  const { done } = useMessages();
  const name = rule.name.trim();
  const body = { ...rule, name };
  const save = async () => {
    await api.POST('/alert-rules/validate', { body });
    await api.PUT('/alert-rules/{name}', { params: { path: { name } }, body });
    await client.invalidateQueries({ queryKey: ['alert-rule'] });
    done(`${name} was saved; it counts within 15 seconds`);
    await navigate('/alerts/rules');
  };
  const check = async () => {
    await api.POST('/alert-rules/validate', { body });
    done('Nothing is wrong with the rule');
  };
  return (
    <PageSection padding={{ default: 'noPadding' }}>
      {!isNew && (
        <ChangedElsewhere
          kind="alert-rule"
          id={current.name}
          {...(isOld && { onShow: take, verb: 'Show it in place of what I entered' })}
        >
          {isOld && <p>What you entered is kept. When you save it, it replaces what they saved.</p>}
        </ChangedElsewhere>
      )}
      <SubmissionForm
        isWidthLimited
        submission={submission}
        onSubmit={() => {
          if (readOnly === undefined) void submission.attempt(save);
        }}
      >
        <ChangingFields>
          <RuleForm rule={rule} onChange={enter} isNew={isNew} />
        </ChangingFields>
        <Trial rule={rule} />
        <ActionGroup>
          <ActionButton type="submit" isLoading={submission.busy}>
            {isNew ? 'Make the rule' : 'Save'}
          </ActionButton>
          <Button variant="secondary" onClick={() => void submission.attempt(check)}>
            Check
          </Button>
          <Button variant="link" onClick={() => void navigate('/alerts/rules')}>
            Cancel
          </Button>
        </ActionGroup>
      </SubmissionForm>
    </PageSection>
  );
}
