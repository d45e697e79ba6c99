// What `tlsfleet elastic` says.

import type { Explanations } from './explanation.ts'

export const ELASTIC: Explanations = {
  'elasticsearch-unavailable': [
    'Elasticsearch answers that it cannot work now.',
    'Try again when it is healthy.',
  ],
  'elasticsearch-unreachable': [
    'Elasticsearch could not be reached.',
    'Check that it runs, its address and port; if TLS is on there already, write `https://`.',
  ],
  'kibana-not-given': [
    'This role is written through Kibana, whose URL was not given.',
    'Give it with `--kibana`.',
  ],
  'kibana-of-other-cluster': [
    'Kibana and Elasticsearch tell different things of one role.',
    'Check that both URLs are of one cluster.',
  ],
  'kibana-unreachable': [
    'Kibana could not be reached.',
    'Check that it runs, its address and port; if TLS is on there already, write `https://`.',
  ],
  'not-elasticsearch': [
    'What answers is not Elasticsearch.',
    'Check that the URL is that of Elasticsearch itself.',
  ],
  'not-kibana': ['What answers is not Kibana.', 'Check that the URL is that of Kibana itself.'],
  'password-accepted': ['Elasticsearch accepts the password at hand.', 'Nothing.'],
  'password-not-accepted': [
    'Elasticsearch does not accept the password that was just set.',
    'Try again; somebody else may have set it at the same time.',
  ],
  'password-not-at-hand': [
    'No password is at hand to check; it stays as it is.',
    'Give it with the file that the command line names, or let a new one be made.',
  ],
  'password-not-private': [
    'A file or directory for passwords can be read or written by other users.',
    'Close it: `chmod 600` for the file, `chmod 700` for the directory.',
  ],
  'password-place-needed': [
    'A new password is needed, and there is no place for it.',
    'Name a directory with `--passwords-dir`.',
  ],
  'password-refused': [
    'Elasticsearch does not accept the password at hand.',
    'Nothing where a new one is set; otherwise give the right one.',
  ],
  'password-rotated': [
    'A new password is asked for.',
    'Give it to the Beats: those that have the old one are refused.',
  ],
  'password-unusable': [
    'The password in a file cannot be used.',
    'It must be one line of plain text of the length that the message says.',
  ],
  'password-unwritable': [
    'A new password could not be written.',
    'Check directory, rights and room.',
  ],
  'plaintext-refused': [
    'Passwords would cross the network in clear, so nothing was sent.',
    'Switch TLS on first and write `https://`, or run the command on the host itself.',
  ],
  'privilege-missing': [
    'The user may not do this at Elasticsearch.',
    'Use one with the cluster privileges monitor and manage_security.',
  ],
  'role-as-wanted': ['The role grants what Metricbeat needs.', 'Nothing.'],
  'role-differs': [
    'The role grants something else than Metricbeat needs.',
    'Nothing: it is changed.',
  ],
  'role-missing': ['There is no such role.', 'Nothing: it is made.'],
  'role-of-guide': [
    'The role is as a guide has it, which is not what Metricbeat needs today.',
    'Nothing: it is changed.',
  ],
  'tls-failed': [
    'No TLS connection to Elasticsearch or Kibana is possible.',
    'Check that TLS is on at this port.',
  ],
  'user-as-wanted': ['The user has the roles that Metricbeat needs.', 'Nothing.'],
  'user-disabled': [
    'Somebody disabled the user; it stays so.',
    'Enable it in Elasticsearch if Metricbeat shall use it.',
  ],
  'user-missing': ['There is no such user.', 'Nothing: it is made.'],
  'user-roles-differ': [
    'The user has other roles than Metricbeat needs.',
    'Nothing: they are changed.',
  ],
  'user-roles-of-guide': [
    'The user has roles that a guide gives and Metricbeat does not need.',
    'Nothing: they are changed.',
  ],
  'kibana-unavailable': [
    'Kibana answers that it cannot work now, or that it does not reach Elasticsearch.',
    "Look at the log of Kibana and at Elasticsearch, and whether Kibana's password for Elasticsearch is right.",
  ],
}
