import { Label, type LabelProps } from '@patternfly/react-core';

const severities: Record<string, LabelProps['status']> = { information: 'info', warning: 'warning', error: 'danger' };

/** How severe something is: a word with its sign, for not everybody sees colours. */
export const Severity = ({ severity }: { severity: string }) => (
  <Label isCompact status={severities[severity] ?? 'info'}>
    {severity}
  </Label>
);
