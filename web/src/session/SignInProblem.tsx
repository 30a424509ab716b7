import { Alert } from '@patternfly/react-core';
import type { Problem } from '../api/problem';
import { ProblemAlert } from '../components/ProblemAlert';

interface Props {
  problem: Problem;
  /** Seconds until it may be tried again. */
  wait?: number;
  /** Paths of fields that say themselves what is wrong with them. */
  said?: string[];
}

/** Says why somebody could not sign in, and what they can do about it. */
export function SignInProblem({ problem, wait = 0, said = [] }: Props) {
  const { kind } = problem;
  if (kind === 'rate-limited') {
    return (
      <Alert isInline variant="warning" title="Too many attempts">
        {wait > 0 ? <>Try again in {wait} seconds. This protects the account.</> : <>You can try again now.</>}
      </Alert>
    );
  }
  if (kind === 'no-operator') {
    return (
      <Alert isInline variant="danger" title="You are not an operator of this instance">
        Somebody who has full access can make you one: in Settings, Operators, or with{' '}
        <code>dormer operator set NAME read-only</code>. Workspaces are not used here: they are in the Dormer client.
      </Alert>
    );
  }
  return <ProblemAlert problem={problem} said={said} />;
}
