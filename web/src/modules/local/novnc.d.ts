/** What this console uses of noVNC; see docs/API.md of it. */
declare module '@novnc/novnc' {
  interface Options {
    shared?: boolean;
    wsProtocols?: string[];
  }

  interface Events {
    connect: CustomEvent<Record<string, never>>;
    disconnect: CustomEvent<{ clean: boolean }>;
    desktopname: CustomEvent<{ name: string }>;
  }

  export default class RFB {
    constructor(target: Element, url: string, options?: Options);
    scaleViewport: boolean;
    clipViewport: boolean;
    showDotCursor: boolean;
    background: string;
    focus(options?: FocusOptions): void;
    blur(): void;
    disconnect(): void;
    sendCtrlAltDel(): void;
    sendKey(keysym: number, code: string | null, down?: boolean): void;
    addEventListener<E extends keyof Events>(name: E, listen: (event: Events[E]) => void): void;
  }
}
