// Explains a code without a controller and without the web.

import { OperationalError } from '../../../shared/errors.ts'
import { CHAPTERS, allCodes, explain } from '../../../shared/reasons/explain.ts'
import { nearest } from '../../fleet/nearest.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'

export function explainCode(session: Session, code: string | undefined): ExitCode {
  if (code === undefined) return listCodes(session)
  const explained = explain(code.toLowerCase())
  if (explained === undefined) throw unknownCode(code)
  show(session, explained, ({ meaning, action }) => {
    const head = session.paint.bold(explained.code)
    return `${head}\n  ${plain(meaning)}\n\n  What to do: ${plain(action)}\n`
  })
  return EXIT.ok
}

function listCodes(session: Session): ExitCode {
  const chapters = CHAPTERS.map(({ title, codes }) => ({
    title,
    codes: Object.entries(codes).map(([code, [meaning]]) => ({ code, meaning })),
  }))
  show(session, { chapters }, shown =>
    shown.chapters
      .map(({ title, codes }) => {
        const lines = codes.map(({ code, meaning }) => `  ${code}\n      ${plain(meaning)}\n`)
        return `${session.paint.bold(title)}\n\n${lines.join('')}`
      })
      .join('\n'),
  )
  return EXIT.ok
}

function unknownCode(code: string): OperationalError {
  const near = nearest(code, allCodes())
  return new OperationalError('not-found', `could not explain ${code}: there is no such code`, {
    hint:
      near === undefined
        ? 'tlsfleet explain lists all codes'
        : `did you mean ${near}? tlsfleet explain lists all codes`,
  })
}

// Written as Markdown for the documentation: `[words](link)` is the name of a page here.
function plain(markdown: string): string {
  return markdown.replaceAll(/\[([^\]]+)\]\(([^)]+)\)/g, '$1 (docs/$2)')
}
