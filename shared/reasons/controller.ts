// What the controller says of itself.

import type { Explanations } from './explanation.ts'

export const CONTROLLER: Explanations = {
  'already-exists': [
    'There is one of that name already.',
    'Choose another name, or change the one that is there.',
  ],
  'already-initialised': [
    'The data directory holds a controller already; nothing was changed.',
    'Start it with `tlsfleet-controller serve`, or name another directory.',
  ],
  'answer-broken': ['The answer to a CA request is damaged.', 'Copy the file again.'],
  'answer-unfit': [
    'The answer does not fit the request for an intermediate; nothing was changed.',
    'Sign the newest request: `tlsfleet-controller ca request`, `ca sign`, `ca import`.',
  ],
  'backup-changed': ['The database changed while it was copied.', 'Try again.'],
  'backup-damaged': ['The backup is damaged; nothing of it is restored.', 'Use another backup.'],
  'backup-exists': [
    'The file for the backup is there already and is left as it is.',
    'Name another file.',
  ],
  'backup-unreadable': ['The backup could not be read.', 'Check path and rights.'],
  'backup-unsupported': [
    'The backup is of a version that this program does not read.',
    'Use the program that made it, or a later one.',
  ],
  'backup-unwritable': ['The backup could not be written.', 'Check directory, rights and room.'],
  'data-directory-not-empty': [
    'A restore goes to an empty directory only.',
    'Name a new one. Move an old controller away by hand.',
  ],
  'data-directory-unusable': [
    'The data directory could not be made.',
    'Check the path and the rights above it.',
  ],
  'epoch-outdated': [
    'A node has seen a newer epoch than this controller is in: this is not the newest controller of the fleet.',
    'Stop it if another one took its place; else restore its backup again with `--above-epoch`: [disaster recovery](operations.md#disaster-recovery).',
  ],
  'generation-conflict': [
    'A node had this generation or a higher one.',
    'Nothing: a higher one is given.',
  ],
  'invalid-fleet-name': [
    'The name of the fleet has characters that are not allowed.',
    'Use lower-case letters, digits, `-` and `.`.',
  ],
  'invalid-lifetime': [
    'A token lives for a year at most.',
    'Give a shorter `--lifetime`, or `--token-lifetime` of `init`.',
  ],
  'invalid-name': [
    'The name has characters that are not allowed.',
    'Use lower-case letters, digits, `-` and `.`.',
  ],
  'not-a-backup': [
    'The file is not a backup of a controller.',
    'Name the file that `tlsfleet backup` wrote.',
  ],
  'not-initialised': [
    'The data directory holds no fleet, or no CA that signs.',
    '`tlsfleet-controller init`, or name the right `--data-dir`.',
  ],
  'operator-disabled': [
    'The operator is disabled, so no token is made.',
    '`tlsfleet operator set NAME` changes that, or choose another name.',
  ],
  'passphrase-differs': ['The passphrase was typed in two ways.', 'Try again.'],
  'passphrase-exposed': [
    'The file with the CA passphrase is open to every user.',
    '`chmod 600` it, and consider the passphrase known: make a new controller or rotate the CAs if others had access.',
  ],
  'passphrase-missing': [
    'The CA passphrase could not be read.',
    'Name the file with `--passphrase-file`, or provide the systemd credential `ca-passphrase`.',
  ],
  'passphrase-unwritable': [
    'The new CA passphrase could not be written.',
    'Name another file with `--passphrase-file`.',
  ],
  'passphrase-weak': [
    'The CA passphrase is too short or too long.',
    'Make one: `head -c 32 /dev/urandom`, as base64.',
  ],
  'request-broken': [
    'The request for an intermediate is not signed by its own key.',
    'Copy the file again.',
  ],
  'root-directory-unusable': [
    'The directory with the offline roots cannot be used.',
    'It must be private to its owner and hold both files of each root.',
  ],
  'root-missing': [
    'The directory holds no root of this kind and fleet.',
    'Mount the right medium; files are named `KIND-root-….pem` and `.key`.',
  ],
  'root-offline': [
    'The roots are kept offline, so the controller cannot make this CA.',
    'On the machine that keeps them: `tlsfleet-controller ca request`, `ca sign`, `ca import`.',
  ],
  'sealed-key-malformed': [
    'A sealed CA key in the store cannot be read.',
    'Restore the controller from a backup.',
  ],
  'sealed-key-tampered': [
    'A sealed CA key was changed, or is for another purpose.',
    'Find out who wrote to the database; restore from a backup, and rotate the CA.',
  ],
  'store-busy': [
    'The database was busy for too long.',
    'Nothing: it is tried again. Look at the disk if it lasts.',
  ],
  'store-closed': [
    'The store was closed while somebody asked.',
    'Nothing: the controller was stopping.',
  ],
  'store-corrupt': [
    'The database is damaged, or something that must be in it is not.',
    'Stop the controller and restore the newest good backup: [disaster recovery](operations.md#disaster-recovery).',
  ],
  'store-locked': [
    'Another controller has the database open.',
    'Stop the other one; one controller runs on a database.',
  ],
  'store-too-new': [
    'The database is of a newer version than this program.',
    'Install that version again, or restore a backup from before the upgrade.',
  ],
  'store-unavailable': [
    'The database could not be opened or written.',
    'Check the file, its owner and its file system.',
  ],
  'webhook-unusable': [
    'A webhook of controller.toml cannot be used.',
    'Correct the setting or file that the message names.',
  ],
  'wrong-passphrase': [
    'The passphrase is not the one that the key was sealed or encrypted with.',
    'Give the right one. If it is lost: [disaster recovery](operations.md#the-ca-passphrase-is-lost).',
  ],
  drift: [
    'A node found a change that was not made by tlsfleet, and corrects it or would.',
    'Find who changed it: the message names the files. [Monitoring](monitoring.md) shows how to be told.',
  ],
}
