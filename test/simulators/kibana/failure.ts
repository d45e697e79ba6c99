// What ends Kibana: a message after ` FATAL  Error:` and the exit code.

export class KibanaFailure extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode = 1) {
    super(message)
    this.exitCode = exitCode
  }
}
