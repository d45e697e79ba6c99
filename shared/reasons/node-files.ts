// What agents say of files, stores of secrets and programs.

import type { Explanations } from './explanation.ts'

export const NODE_FILES: Explanations = {
  'bundle-missing': [
    'The release lacks the file that holds key and chain together.',
    'Nothing: it is made.',
  ],
  'bundle-stale': [
    'The file with key and chain together does not hold what the release has.',
    'Nothing: it is made anew.',
  ],
  'changed-meanwhile': [
    'A file was changed by somebody between planning and switching; nothing was overwritten.',
    'Nothing: the agent plans again. If it repeats, find who writes the file.',
  ],
  'command-failed': [
    'A program that tells something about the node or a product failed.',
    'The message has what it said; run it by hand as root.',
  ],
  'command-failed-to-start': [
    'A program of the node could not be started, or the user that it should run as does not exist.',
    "Check that program and user exist and that the agent's sandbox lets it run.",
  ],
  'command-missing': [
    'A program that is needed is not installed.',
    'Install it on the node (or in the image); the message names it.',
  ],
  'command-timeout': [
    'A program did not end in time.',
    'It is tried again. If it repeats, run it by hand: the machine may be overloaded, or the program waits for something.',
  ],
  'disk-full': [
    'A file system has too little room, so nothing was begun, or a write was undone.',
    'Free space on the file system that the message names; it goes on by itself.',
  ],
  'duplicate-key': [
    'A key is in the file in two spellings, so nobody can say which one counts. The file is left alone.',
    'Remove one of them.',
  ],
  'file-exists': [
    'The file that should be written is there already and is not replaced.',
    'Name another file.',
  ],
  'file-missing': [
    'A file that should be edited does not exist.',
    'Restore it, or repair the installation of the product.',
  ],
  'file-not-utf8': [
    'A file is not UTF-8 text and is left alone.',
    'Convert it, or find out what wrote it.',
  ],
  'file-too-large': [
    'A file is larger than anything that is expected here, and is not read.',
    'Check that the path names the right file.',
  ],
  'file-unparsable': [
    'The product could not read this file either, so it is left alone.',
    'Correct it at the line that the message names.',
  ],
  'file-unreadable': [
    'A file could not be read.',
    'Check that it exists, its owner and mode, and the file system.',
  ],
  'file-unwritable': [
    'A file could not be written.',
    'Check directory, owner, mode and room. An existing file is not replaced.',
  ],
  'key-unreadable': [
    'The user of the service could not read the new key in the sandbox of its unit. Nothing was switched.',
    'A directory above it is closed to that user or hidden by the sandbox: look at `ProtectHome=`, `InaccessiblePaths=` and the modes.',
  ],
  'keystore-damaged': [
    "The product's store of secrets cannot be read.",
    "Make it anew with the product's own tool, or restore it.",
  ],
  'keystore-not-set': [
    "The product's tool ended without an error, but the store does not hold what it was told.",
    'Run the tool by hand; its version may not fit the store.',
  ],
  'keystore-offline': [
    "The store of secrets can only be changed by the product's own tool, which is not run in an image.",
    'Set the entry at the first boot, or prepare the image on a running machine.',
  ],
  'keystore-password-needed': [
    'The store of secrets has a password that is not known here.',
    "Remove its password with the product's tool; a unit could not open it by itself either.",
  ],
  'keystore-tool-failed': [
    "The product's own tool for secrets failed; the change was undone.",
    'The message has what it said. Run it by hand as the service user.',
  ],
  'keystore-value-unusable': [
    'A value for the store of secrets is not one line.',
    'Change the password or secret that the message names.',
  ],
  'keystore-version-unknown': [
    'The store of secrets has a format that is not known.',
    'Is the product newer than what tlsfleet knows? See [its page](products/elasticsearch.md).',
  ],
  'keystore-wrong-password': [
    'The store of secrets has another password than the known one.',
    'Restore the password, or make the store anew.',
  ],
  'not-a-file': [
    'A path names something that is no regular file.',
    'Check the path that the message names.',
  ],
  'not-lossless': [
    'The edit of a file would have changed more than the owned key, so it was not made.',
    'Edit the place that the message names by hand into a plain form; report it as a fault.',
  ],
  'permission-denied': [
    'The agent may not write or read a path.',
    "Check owner, mode, mandatory access control, and `ReadWritePaths=` of the agent's unit.",
  ],
  'previous-file-lost': [
    'A change could not be taken back, because the copy of a file is gone.',
    'Restore the file from your own backup; then `tlsfleet rollout retry`.',
  ],
  'read-only': [
    'The file system is mounted read only.',
    'Mount it read-write; it goes on by itself.',
  ],
  'tree-unusable': [
    'A directory of a service cannot be copied as a whole: it is not there, something in it leads elsewhere, it is larger than such a store is, or it changes meanwhile.',
    'Save it with a program of your own, and say `copy = false`: [rollouts](rollouts.md#snapshots).',
  ],
  'staged-file-lost': [
    'A prepared file disappeared before the switch.',
    'Nothing: it is prepared again. Find out what removes files named `.tlsfleet-…`.',
  ],
  'state-damaged': [
    'A state file of the agent was damaged; it was set aside and is rebuilt.',
    'Nothing. If it repeats, check the disk.',
  ],
  'state-unusable': [
    'The state directory of the agent cannot be used.',
    'It must be a directory of root, and its path short enough for a socket (107 bytes).',
  ],
  'store-missing': ['The release lacks its PKCS#12 file.', 'Nothing: it is made.'],
  'store-password-adopted': [
    'The product has a password for its PKCS#12 file, which is kept and used on.',
    'Nothing.',
  ],
  'store-stale': [
    'The PKCS#12 file is not what is wanted, or its password is not known any more.',
    'Nothing: it is made anew.',
  ],
  'tool-failed': [
    'A tool that belongs to the change failed; the change is undone.',
    'The message has what it said.',
  ],
  'tool-offline': [
    'A tool is not run in an image.',
    'Run it there, or let it run at the first boot; the message has its arguments.',
  ],
  'unit-unclear': [
    'A value in a unit file is known only where it runs.',
    'Write the value itself into the unit or a drop-in of the image.',
  ],
  unparsable: ['A text could not be parsed.', 'Correct it at the line that the message names.'],
  'unsafe-path': [
    'A path leads through a symlink or a directory that others can write to, so root does not use it.',
    'Make each directory on the way belong to root (or the service) and writable by nobody else.',
  ],
  'unsupported-shape': [
    'The file is fine, but its form at this place is none that can be edited safely. It is left alone.',
    'Write the place that the message names in a plainer form.',
  ],
  'validation-failed': [
    "The product's own checker refused the new configuration. Nothing was switched.",
    'The message has what it said; the file may have been wrong before.',
  ],
  'write-failed': [
    'A file could not be written.',
    'The cause is in the message. It is tried again where that can help.',
  ],
  'written-offline': ['The files are in place; the service loads them when it starts.', 'Nothing.'],
  'wrong-permissions': [
    'Owner or mode of a file is not as it should be.',
    'Nothing: it is corrected.',
  ],
}
