import { defaultHighlightStyle, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import type { Extension } from '@codemirror/state';
import { EditorView } from '@codemirror/view';
import { served } from '../app/base';

/** The library's colours of code, made for light ground, and what they are on dark, to be read as well. */
const onDark: Record<string, string> = {
  '#404740': '#c6cac6',
  '#708': '#d6a6f0',
  '#219': '#a6b8ff',
  '#164': '#86d9a0',
  '#a11': '#f5a3a3',
  '#e40': '#ffb38a',
  '#00f': '#9ec3ff',
  '#30a': '#c5b3ff',
  '#085': '#7fd8b4',
  '#167': '#8fd0e0',
  '#256': '#9fd6cb',
  '#00c': '#9ec3ff',
  '#940': '#d9b38c',
  '#f00': '#ff9b9b',
};

/** The library's colours with others in place of some. */
const recoloured = (colours: Record<string, string>, themeType: 'dark' | 'light') =>
  HighlightStyle.define(
    defaultHighlightStyle.specs.map((s) => Object.assign({}, s, { color: colours[String(s['color'])] ?? s['color'] })),
    { themeType },
  );

const dark = recoloured(onDark, 'dark');
const light = recoloured({ '#e40': '#b23000' }, 'light');

/** The nonce that the content policy asks of styles: an editor needs it when it is made. */
export function styleNonce(): Extension {
  const { nonce } = served();
  return nonce === '' ? [] : EditorView.cspNonce.of(nonce);
}

/** How code looks: as everything around it, light or dark. */
export function codeStyle(isDark: boolean): Extension {
  return [
    syntaxHighlighting(isDark ? dark : light),
    EditorView.theme(
      {
        '&': {
          backgroundColor: 'var(--pf-t--global--background--color--primary--default)',
          color: 'var(--pf-t--global--text--color--regular)',
          border: '1px solid var(--pf-t--global--border--color--default)',
          fontSize: 'var(--pf-t--global--font--size--body--default)',
        },
        '&.cm-focused': { outline: '2px solid var(--pf-t--global--border--color--clicked)' },
        '.cm-scroller': {
          fontFamily: 'var(--pf-t--global--font--family--mono)',
          overflow: 'auto',
          maxBlockSize: '70vh',
        },
        '.cm-content': { caretColor: 'var(--pf-t--global--text--color--regular)' },
        '.cm-cursor': { borderLeftColor: 'var(--pf-t--global--text--color--regular)' },
        '.cm-gutters': {
          backgroundColor: 'var(--pf-t--global--background--color--secondary--default)',
          color: 'var(--pf-t--global--text--color--subtle)',
          borderRight: '1px solid var(--pf-t--global--border--color--default)',
        },
        '.cm-panels, .cm-tooltip': {
          backgroundColor: 'var(--pf-t--global--background--color--floating--default)',
          color: 'var(--pf-t--global--text--color--regular)',
        },
      },
      { dark: isDark },
    ),
  ];
}
