import { ask } from '../api/client';
import { EventReader, type ServerEvent } from './events';

/** How long the stream may bring nothing before it counts as lost: the server sends something each 15 s. In milliseconds. */
const silence = 45_000;
/** Pauses before the stream is begun again, in milliseconds. */
const firstPause = 500;
const lastPause = 15_000;

interface Listener {
  /** The address to ask now. */
  url: () => string;
  onEvent: (e: ServerEvent) => void;
  /** The stream began (true) or was lost (false). */
  onState: (connected: boolean) => void;
  /** Something came, a sign of life at least. */
  onHeard: () => void;
}

/**
 * Listens to server-sent events until it is stopped, and begins anew after
 * the last one whenever the stream is lost: soon at first, then more rarely,
 * and at once when the network comes back. Returns how to stop.
 */
export function listen({ url, onEvent, onState, onHeard }: Listener): () => void {
  const stop = new AbortController();
  let last = '';
  let hurry: (() => void) | undefined;

  const once = async (): Promise<void> => {
    const cut = new AbortController();
    const giveUp = () => cut.abort();
    let timer = setTimeout(giveUp, silence);
    stop.signal.addEventListener('abort', giveUp);
    window.addEventListener('offline', giveUp);
    try {
      const answer = await ask(
        new Request(url(), {
          credentials: 'same-origin',
          signal: cut.signal,
          cache: 'no-store',
          headers: last === '' ? {} : { 'Last-Event-ID': last },
        }),
      );
      if (!answer.ok || !answer.body) throw new Error(`status ${answer.status}`);
      onState(true);
      const reader = new EventReader();
      const pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let piece = await pieces.read(); !piece.done; piece = await pieces.read()) {
        clearTimeout(timer);
        timer = setTimeout(giveUp, silence);
        onHeard();
        for (const e of reader.take(piece.value)) {
          last = e.id;
          onEvent(e);
        }
      }
    } finally {
      clearTimeout(timer);
      stop.signal.removeEventListener('abort', giveUp);
      window.removeEventListener('offline', giveUp);
    }
  };

  const keep = async (): Promise<void> => {
    let pause = firstPause;
    while (!stop.signal.aborted) {
      const began = Date.now();
      // Why a stream ended does not matter: the next one tells.
      await once().catch(() => undefined);
      if (stop.signal.aborted) return;
      onState(false);
      pause = Date.now() - began > lastPause ? firstPause : Math.min(2 * pause, lastPause);
      await new Promise<void>((go) => {
        hurry = go;
        setTimeout(go, pause);
      });
    }
  };
  const now = () => hurry?.();
  window.addEventListener('online', now);
  void keep();
  return () => {
    window.removeEventListener('online', now);
    stop.abort();
    hurry?.();
  };
}
