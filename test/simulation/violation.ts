/** What must never be: the simulation ends with the seed that led there. */
export class Violation extends Error {
  override readonly name = 'Violation'
}
