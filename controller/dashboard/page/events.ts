// Server-sent events from a stream of text, as the HTML standard frames them. Pure.

export interface ServerEvent {
  readonly event: string
  readonly data: string
}

/** Takes text as it arrives and gives the events that are complete with it. */
export function createEventReader(): (text: string) => readonly ServerEvent[] {
  let rest = ''
  return text => {
    rest += text
    const blocks = rest.split(/\r?\n\r?\n/)
    rest = blocks.pop() ?? ''
    return blocks.flatMap(readBlock)
  }
}

function readBlock(block: string): readonly ServerEvent[] {
  let event = 'message'
  const data: string[] = []
  for (const line of block.split(/\r?\n/)) {
    const [, field = '', value = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? []
    if (field === 'event') event = value
    else if (field === 'data') data.push(value)
  }
  // A block of comments is a sign of life and no event.
  return data.length === 0 ? [] : [{ event, data: data.join('\n') }]
}
