import { Alert, AlertActionLink } from '@patternfly/react-core';
import { asProblem, beyond } from '../api/problem';

interface Props {
  /** What was thrown. */
  problem: unknown;
  /** What was tried, as "The images could not be listed"; the problem's own title by default. */
  title?: string;
  /** Tries it again. */
  retry?: () => void;
  /** Paths of fields that say themselves what is wrong with them. */
  said?: string[];
}

/** Says why something was refused or failed, where it belongs on the page. */
export function ProblemAlert({ problem, title, retry, said = [] }: Props) {
  const { document, fields } = asProblem(problem);
  const heading = title ?? document.title;
  const detail = beyond(heading, document.detail);
  const unsaid = fields.filter((f) => !said.includes(f.path));
  return (
    <Alert
      isInline
      variant="danger"
      title={heading}
      actionLinks={retry && <AlertActionLink onClick={retry}>Try again</AlertActionLink>}
    >
      {detail !== '' && fields.length === 0 && <p>{detail}</p>}
      {unsaid.map((f) => (
        <p key={f.path + f.message}>
          {f.path !== '' && <code>{f.path}</code>} {f.message}
        </p>
      ))}
    </Alert>
  );
}
