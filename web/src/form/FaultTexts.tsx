import { HelperTextItem } from '@patternfly/react-core';

interface Props {
  errors: string[];
  warnings: string[];
  /** The field that they are of, where the texts do not stand below its name. */
  label?: string;
}

/** What is wrong with a value and what needs a look, a line each, within a HelperText. */
export function FaultTexts({ errors, warnings, label }: Props) {
  return (
    <>
      {errors.map((message) => (
        <HelperTextItem key={message} variant="error">
          {sentence(message, label)}
        </HelperTextItem>
      ))}
      {warnings.map((message) => (
        <HelperTextItem key={message} variant="warning">
          {sentence(message, label)}
        </HelperTextItem>
      ))}
    </>
  );
}

/** What the server says of a field goes on from the field's name, "must be given", or is a sentence about it. */
function sentence(message: string, label: string | undefined): string {
  if (label === undefined || !/^[a-z]/u.test(message)) return message;
  return /^(must|may|needs?|is|are|has|have|can|cannot|does|names?|expected)\b/u.test(message)
    ? `${label} ${message}`
    : `${label}: ${message}`;
}
