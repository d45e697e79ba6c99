export interface InitView {
  readonly fleet: string
  readonly dataDir: string
  readonly configFile: string
  readonly passphraseFile: string
  readonly pin: string
  readonly url: string
  readonly context: string
  /** The command that starts the controller. */
  readonly serve: string
}

export function initText(view: InitView): string {
  return `The controller of fleet ${view.fleet} is ready in ${view.dataDir}.

  settings        ${view.configFile}
  CA passphrase   ${view.passphraseFile}
  CA pin          ${view.pin}
  login context   ${view.context} for ${view.url}

Keep a copy of the passphrase apart from the data directory; without it the CAs are lost.

Next:
  ${view.serve}
  tlsfleet node add NAME --dns NAME
`
}
