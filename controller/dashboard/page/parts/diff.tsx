// A unified diff as it came from the node: signs stay, so that it can be read without colours.

export function Diff({ text }: { text: string }) {
  return (
    // It scrolls, so the keyboard must be able to get there.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <pre class="diff" tabIndex={0} aria-label="Difference">
      {text
        .trimEnd()
        .split('\n')
        .map((line, index) => (
          <span key={index} class={kindOf(line)}>
            {line}
            {'\n'}
          </span>
        ))}
    </pre>
  )
}

function kindOf(line: string): string {
  if (line.startsWith('+++') || line.startsWith('---')) return 'diff-file'
  if (line.startsWith('@@')) return 'diff-place'
  if (line.startsWith('+')) return 'diff-added'
  return line.startsWith('-') ? 'diff-removed' : 'diff-same'
}
