// How far a node of a coordinated phase is: its service stopped, or switched and not started yet; and
// which service that is.

import type { Migration } from '../migrate.ts'

export const sections: Migration = {
  number: 17,
  name: 'sections',
  sql: `
alter table rollout_steps add column held text;
alter table desired_states add column together text;
`,
}
