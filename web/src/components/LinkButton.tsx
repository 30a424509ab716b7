import { Button, type ButtonProps } from '@patternfly/react-core';
import type { ComponentProps } from 'react';
import { Link } from 'react-router';

/** One component for all: one made at each render would lose the focus at each. */
const Anchor = ({ href, ...props }: ComponentProps<'a'>) => <Link to={href ?? ''} {...props} />;

/** A link to another page of the console that looks like a button. */
export const LinkButton = ({ to, ...props }: Omit<ButtonProps, 'component' | 'href'> & { to: string }) => (
  <Button component={Anchor} href={to} {...props} />
);
