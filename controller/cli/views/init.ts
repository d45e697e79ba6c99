export interface InitView {
  readonly fleet: string
  readonly dataDir: string
  readonly configFile: string
  readonly passphraseFile: string
  readonly pin: string
  /** Files with the keys of the roots, where they are kept offline. */
  readonly rootKeys: readonly string[]
  readonly url: string
  readonly context: string
  /** Of the admin token in it. RFC 3339. */
  readonly loginEndsAt: string
  /** The command that starts the controller. */
  readonly serve: string
}

export function initText(view: InitView): string {
  return `The controller of fleet ${view.fleet} is ready in ${view.dataDir}.

  settings        ${view.configFile}
  CA passphrase   ${view.passphraseFile}
  CA pin          ${view.pin}${view.rootKeys.map(file => `\n  root key        ${file}`).join('')}
  login context   ${view.context} for ${view.url}, until ${view.loginEndsAt.slice(0, 10)}; before that: tlsfleet token create admin

Keep a copy of the passphrase apart from the data directory; without it the CAs are lost.${
    view.rootKeys.length === 0
      ? ''
      : '\nPut the root keys away, where no network reaches, and their passphrase elsewhere.'
  }

Next:
  ${view.serve}
  tlsfleet node add NAME --dns NAME
`
}
