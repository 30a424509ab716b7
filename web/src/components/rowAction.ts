import type { IAction } from '@patternfly/react-table';

/** One thing that can be done with a row; why: why it cannot be done, which it then says in place of doing it. */
export const rowAction = (title: string, why: string | undefined, onClick: () => void, isDanger = false): IAction => ({
  title,
  onClick,
  isDanger,
  ...(why !== undefined && { isAriaDisabled: true, tooltipProps: { content: why } }),
});
