/** What the keyboard of a screen is left with: every other key is the guest's. */
export const escapeKeys = 'Ctrl + Alt + Shift';

/** Says whether a key, with those that are held, means that the guest's screen is left. */
export const isEscape = (e: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'altKey' | 'shiftKey'>): boolean =>
  e.ctrlKey && e.altKey && e.shiftKey && ['Control', 'Alt', 'Shift', 'Meta'].includes(e.key);

/** The modifiers that the guest believes to be held then: as X names them, and where they are. */
export const heldKeys: [number, string][] = [
  [0xffe1, 'ShiftLeft'],
  [0xffe2, 'ShiftRight'],
  [0xffe3, 'ControlLeft'],
  [0xffe4, 'ControlRight'],
  [0xffe9, 'AltLeft'],
  [0xffea, 'AltRight'],
];
