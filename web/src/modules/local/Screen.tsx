import RFB from '@novnc/novnc';
import {
  Alert,
  AlertActionLink,
  Button,
  Checkbox,
  Content,
  Spinner,
  Toolbar,
  ToolbarContent,
  ToolbarItem,
} from '@patternfly/react-core';
import { useCallback, useEffect, useRef, useState } from 'react';
import { screenURL } from './api';
import './screen.css';
import { escapeKeys, heldKeys, isEscape } from './escape';

type State = 'connecting' | 'connected' | 'ended' | 'lost';

const states: Record<State, string> = {
  connecting: 'Connecting to the screen.',
  connected: 'The screen is connected.',
  ended: 'The screen has ended.',
  lost: 'The screen was lost.',
};

/** How long a screen that has ended is left so, in milliseconds. */
const patience = 2_000;

interface Props {
  run: string;
  /** Whose screen it is, for people who do not see it. */
  label: string;
}

/**
 * The screen of a guest, with keyboard and mouse. All keys are the guest's
 * while it has the focus, so there is a way out that no guest needs. There is
 * no clipboard: the policy of the workspace says what may pass, not this page.
 */
export function Screen(props: Props) {
  const [attempt, setAttempt] = useState(0);
  const again = useCallback(() => setAttempt((n) => n + 1), []);
  return <Connection key={attempt} {...props} onAgain={again} />;
}

/** One connection to the screen, from its begin to its end. */
function Connection({ run, label, onAgain }: Props & { onAgain: () => void }) {
  const place = useRef<HTMLDivElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const enter = useRef<HTMLButtonElement>(null);
  const shown = useRef<RFB>(null);
  const [state, setState] = useState<State>('connecting');
  const [scaled, setScaled] = useState(true);

  useEffect(() => {
    const target = place.current;
    if (!target) return undefined;
    const rfb = new RFB(target, screenURL(run), { shared: true, wsProtocols: ['binary'] });
    rfb.background = 'transparent';
    rfb.showDotCursor = true;
    rfb.scaleViewport = true;
    shown.current = rfb;
    let over = false;
    let closed = false;
    rfb.addEventListener('connect', () => {
      if (over) return;
      const canvas = target.querySelector('canvas');
      canvas?.setAttribute('role', 'img');
      canvas?.setAttribute('aria-label', label);
      setState('connected');
    });
    rfb.addEventListener('disconnect', ({ detail }) => {
      closed = true;
      if (!over) setState(detail.clean ? 'ended' : 'lost');
    });
    return () => {
      over = true;
      shown.current = null;
      if (!closed) rfb.disconnect();
    };
  }, [run, label]);

  useEffect(() => {
    // A machine that begins again has another screen at once; one that has ended takes this page's away.
    if (state !== 'ended') return undefined;
    const timer = setTimeout(onAgain, patience);
    return () => clearTimeout(timer);
  }, [state, onAgain]);

  const scale = (fit: boolean) => {
    setScaled(fit);
    if (shown.current) shown.current.scaleViewport = fit;
  };

  const leave = useCallback(() => {
    const rfb = shown.current;
    // The keys are still held here, but the guest hears of no release any more.
    window.dispatchEvent(new Event('blur'));
    for (const [key, code] of heldKeys) rfb?.sendKey(key, code, false);
    rfb?.blur();
    enter.current?.focus();
  }, []);

  useEffect(() => {
    const target = place.current;
    const take = (e: KeyboardEvent) => {
      if (!isEscape(e)) return;
      e.preventDefault();
      e.stopPropagation();
      leave();
    };
    target?.addEventListener('keydown', take, { capture: true });
    return () => target?.removeEventListener('keydown', take, { capture: true });
  }, [leave]);

  const not = state !== 'connected';
  return (
    <div ref={frame} className="dormer-screen-frame">
      <Toolbar>
        <ToolbarContent>
          <ToolbarItem>
            <Button ref={enter} isDisabled={not} onClick={() => shown.current?.focus()}>
              Use the keyboard in the screen
            </Button>
          </ToolbarItem>
          <ToolbarItem>
            <Button variant="secondary" isDisabled={not} onClick={() => shown.current?.sendCtrlAltDel()}>
              Send Ctrl + Alt + Del
            </Button>
          </ToolbarItem>
          <ToolbarItem>
            <Button variant="secondary" isDisabled={not} onClick={() => void frame.current?.requestFullscreen()}>
              Full screen
            </Button>
          </ToolbarItem>
          <ToolbarItem alignSelf="center">
            <Checkbox id="screen-scaled" label="Fit to the page" isChecked={scaled} onChange={(_, fit) => scale(fit)} />
          </ToolbarItem>
        </ToolbarContent>
      </Toolbar>
      <Content component="p" id="screen-help">
        A click into the screen gives it the keyboard and the mouse. <kbd>{escapeKeys}</kbd>, pressed together, brings
        the keyboard back here. <span aria-live="polite">{states[state]}</span>
      </Content>
      {state === 'connecting' && <Spinner aria-label="The screen is being connected" />}
      {(state === 'ended' || state === 'lost') && (
        <Alert
          isInline
          variant={state === 'lost' ? 'warning' : 'info'}
          title={state === 'lost' ? 'The screen was lost' : 'The screen has ended'}
          actionLinks={<AlertActionLink onClick={onAgain}>Connect again</AlertActionLink>}
        >
          {state === 'lost'
            ? 'The connection broke, or another page shows it.'
            : 'The machine may have been turned off.'}
        </Alert>
      )}
      <div ref={place} className="dormer-screen" role="group" aria-label={label} aria-describedby="screen-help" />
    </div>
  );
}
