// What `tlsfleet` says without asking a controller.

import type { Explanations } from './explanation.ts'

export const COMMAND_LINE: Explanations = {
  'config-broken': [
    'The file with the logins of this user cannot be read.',
    'Remove the file and log in again: `tlsfleet login`.',
  ],
  'config-not-private': [
    'The file with the logins can be read by other users, and it holds tokens.',
    '`chmod 600` it; make new tokens if others had access.',
  ],
  'config-unwritable': [
    'The file with the logins could not be written.',
    'Check directory and rights; `XDG_CONFIG_HOME` sets its place.',
  ],
  'confirmation-needed': [
    'A command wanted to ask, and there is no terminal.',
    'Give `--yes` to go ahead without being asked.',
  ],
  'context-exists': [
    'There is a login context of that name.',
    'Choose another name, or forget it: `tlsfleet context rm`.',
  ],
  'controller-not-trusted': [
    'The certificate of the controller could not be verified.',
    'Check the name in the URL and the clocks. Log in again with the pin that `tlsfleet init` printed.',
  ],
  'controller-tls-failed': [
    'No TLS 1.3 connection is possible at this address.',
    'Check that the port is the operator port of tlsfleet-controller (8443).',
  ],
  internal: ['tlsfleet has a fault.', 'Please report it with the command that you gave.'],
  interrupted: [
    'You interrupted the command. A rollout that was started goes on.',
    '`tlsfleet rollout ls` shows it; `tlsfleet rollout follow` goes on watching.',
  ],
  'name-unknown': [
    'The name of the controller could not be resolved.',
    'Check the name in the URL, and the resolver of this machine.',
  ],
  'no-context': [
    'No login context is chosen, or there is none.',
    '`tlsfleet context ls`, `tlsfleet login`; on the controller itself `tlsfleet init`.',
  ],
  'plan-unreadable': [
    'The plan could not be read.',
    'Give the digest that `tlsfleet plan` prints, or a file that `tlsfleet plan --out` wrote.',
  ],
  'plan-unsupported': [
    'This controller makes no plans that could be kept.',
    'Upgrade the controller.',
  ],
  'token-refused': [
    'The controller does not accept the token.',
    'It has ended or was revoked. An admin makes a new one (`tlsfleet token create`); log in again with it: `tlsfleet login`. Where no admin has one, stop the controller and run `tlsfleet-controller token NAME --role admin` on its machine.',
  ],
  usage: [
    'The command line could not be understood.',
    '`--help` of the command shows what it takes.',
  ],
}
