import { yaml } from '@codemirror/lang-yaml';
import { MergeView } from '@codemirror/merge';
import { EditorState, type Extension } from '@codemirror/state';
import { EditorView, lineNumbers } from '@codemirror/view';
import { useEffect, useRef } from 'react';
import { useDark } from '../../app/theme';
import { codeStyle, styleNonce } from '../../components/codeStyle';

interface Props {
  before: string;
  after: string;
  names: [string, string];
}

/** Two texts side by side, line by line. */
export function TextComparison({ before, after, names: [left, right] }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const dark = useDark();
  useEffect(() => {
    if (!place.current) return undefined;
    const shown = (label: string): Extension => [
      styleNonce(),
      lineNumbers(),
      yaml(),
      EditorView.lineWrapping,
      EditorState.readOnly.of(true),
      EditorView.contentAttributes.of({ 'aria-label': label, 'aria-readonly': 'true', tabindex: '0' }),
      codeStyle(dark),
    ];
    const view = new MergeView({
      a: { doc: before, extensions: shown(left) },
      b: { doc: after, extensions: shown(right) },
      parent: place.current,
      collapseUnchanged: { margin: 3, minSize: 6 },
    });
    return () => view.destroy();
  }, [before, after, left, right, dark]);
  return <div ref={place} dir="ltr" />;
}
