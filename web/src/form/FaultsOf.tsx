import { HelperText } from '@patternfly/react-core';
import { FaultTexts } from './FaultTexts';
import { messagesAt, useForm, useShown } from './form';

/** What is wrong with several fields together, as they stand below one path: beside them. label is what the sentence is about. */
export function FaultsOf({ path, label }: { path: string; label: string }) {
  const { errors, warnings } = useForm();
  useShown([path]);
  const wrong = messagesAt(errors, path);
  const odd = messagesAt(warnings, path);
  if (wrong.length + odd.length === 0) return null;
  return (
    <HelperText isLiveRegion>
      <FaultTexts errors={wrong} warnings={odd} label={label} />
    </HelperText>
  );
}
