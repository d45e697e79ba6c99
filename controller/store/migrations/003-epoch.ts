// Documents carry the epoch of the controller that made them; see DesiredStates in store.ts.

import type { Migration } from '../migrate.ts'

export const epoch: Migration = {
  number: 3,
  name: 'epoch',
  sql: `
alter table desired_states add column epoch integer not null default 0;
`,
}
