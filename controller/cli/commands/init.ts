import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session } from '../output.ts'
export async function init(session: Session, options: object): Promise<ExitCode> {
  return EXIT.ok
}
