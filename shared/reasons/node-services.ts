// What agents say of the services of their node.

import type { Explanations } from './explanation.ts'

export const NODE_SERVICES: Explanations = {
  'activation-failed': [
    'systemctl refused to reload or restart the unit.',
    'Look at `journalctl -u` of the unit and at the error text; then `tlsfleet rollout retry`, or correct the unit.',
  ],
  'write-not-allowed': [
    'agent.toml of this node does not allow a file or directory to be written that the change needs.',
    'Allow it with `[allow] paths` in `/etc/tlsfleet/agent.toml`, or take the service out of the entry of this node.',
  ],
  'activation-not-allowed': [
    'agent.toml of this node does not allow the reload or restart that the change needs.',
    'Allow it with `[allow] activations` in `/etc/tlsfleet/agent.toml`, or make the change on this node by hand.',
  ],
  'changes-planned': [
    'There is something to change, and the mode is one that only looks.',
    'Apply, if the change is wanted: `tlsfleet plan` shows it.',
  ],
  'cluster-unknown': [
    'The service could not tell how its cluster is.',
    'Look at the service of this node: is it up, does it answer its status address?',
  ],
  converged: ['The change was made and proven.', 'Nothing.'],
  'daemon-reload-failed': [
    'systemd refused to read its units again.',
    'Run `systemctl daemon-reload` by hand and look at the error; a broken unit file is most likely the cause.',
  ],
  'health-no-answer': [
    'The listener is there, but its health address does not answer.',
    'Look at the log of the service; it may still be starting.',
  ],
  'in-sync': [
    'All is as wanted, and proven by what is served or by a unit that is up.',
    'Nothing.',
  ],
  'in-sync-offline': [
    'The files are as wanted; nothing runs here, so nothing could be proven.',
    'Nothing: the service loads them at its start.',
  ],
  inactive: [
    'Somebody stopped the service, so it is left stopped. Files are prepared.',
    'Start it when you want it to run. Remove it from the fleet spec if it shall stay away.',
  ],
  'inputs-loaded': ['The process has loaded all that it should have.', 'Nothing.'],
  'not-installed': [
    'No unit of the product is on this node.',
    "Install the product, or remove the service from the node's entry in the fleet spec.",
  ],
  'not-restored': [
    'After a change was taken back, a listener does not serve what it served before.',
    'See `restore-unproven`.',
  ],
  'not-verified': [
    'What a service serves could not be looked at in time.',
    'Look at the service; the message says what was tried.',
  ],
  offline: [
    'For a node: the agent is not connected. For a service: nothing runs below this root, so nothing can be started.',
    'Check the agent: `systemctl status tlsfleet-agent` on the node. A rollout goes on without it where its limits allow.',
  ],
  'reload-unsupported': [
    'The unit cannot be reloaded.',
    'Nothing: it is restarted where that is allowed. Otherwise give the unit an `ExecReload=`.',
  ],
  'restart-refused': [
    'systemd refuses to start the unit, because it was started too often.',
    'Find out why it does not stay up with `journalctl -u`, then `systemctl reset-failed`.',
  ],
  'restore-failed': [
    'A change failed, and the previous state could not be put back.',
    'This node needs a person: look at the files that the message names, repair the service, then `tlsfleet rollout retry`.',
  ],
  'restore-unproven': [
    'A change failed and the previous files are back, but the service does not work with them either.',
    'This node needs a person: look at `journalctl -u` of the service. It may have been broken before.',
  ],
  resumed: [
    'The agent was stopped while it put a previous state back, and has gone on with it.',
    'Nothing; the reason of the failure is the one before.',
  ],
  'served-as-wanted': ['The listener serves what it should.', 'Nothing.'],
  'served-differs': [
    'The files are in place and the service serves something else, so it is restarted.',
    'Nothing. If it repeats, another process answers at the port.',
  ],
  'served-plaintext': [
    'The listener answers without TLS although TLS is wanted.',
    'Nothing while a change is under way. If it stays: does the product read the file that was changed?',
  ],
  'served-stale': [
    'The listener serves another certificate than the one in use.',
    'Nothing: the service is reloaded or restarted. If it stays, another process or a proxy answers at the port.',
  ],
  'served-tls': [
    'The listener still answers with TLS although plaintext is wanted.',
    'Nothing while a change is under way. If it stays: does the product read the file that was changed?',
  ],
  'service-manager-unreachable': [
    'systemctl could not be run, or systemd did not answer.',
    'Check `systemctl status`; it is tried again.',
  ],
  'service-not-allowed': [
    'agent.toml of this node does not let tlsfleet touch this service.',
    'Allow it with `[allow] services` in `/etc/tlsfleet/agent.toml`, or remove the service from the entry of this node.',
  ],
  'service-user-unknown': [
    'The user of the unit does not exist.',
    'Create the user, or correct `User=` of the unit.',
  ],
  staged: [
    'The change is prepared and validated, and waits for its turn.',
    'Nothing: the rollout switches it when its batch comes.',
  ],
  'snapshot-failed': [
    'What was to save a service before it is stopped with those of its group did not: its program ended with an error or too late, or its directory could not be copied. Nobody was stopped, or all were started again with what was there.',
    'Correct what the message names: run the program by hand as root, look at the directory. Then apply again; see [rollouts](rollouts.md#snapshots).',
  ],
  'snapshot-none': [
    'The change has a whole group stopped, and nothing on this node saves what the service keeps before that.',
    'Take a backup yourself before you acknowledge the downtime, or name a program in `[snapshots]` of agent.toml: [rollouts](rollouts.md#snapshots).',
  ],
  'snapshot-program-unusable': [
    'The program that agent.toml names to save a service is not there, or somebody other than root could replace it, so it is not run.',
    'The program and every directory on the way to it belong to root and are writable by nobody else. `tlsfleet-agent doctor` says what is wrong.',
  ],
  stopping: [
    'The agent was stopped before anything was changed.',
    'Nothing: it goes on at its next start.',
  ],
  unhealthy: [
    'The listener works, but the health address of the product answers with an error.',
    'Look at the log of the service.',
  ],
  'unit-crash-loop': [
    'The service manager restarted the unit again and again after the change, so it is undone.',
    'The change broke the service or it was unstable before: `journalctl -u`.',
  ],
  'unit-died': [
    'The unit ended after it was activated, so the change is undone.',
    '`journalctl -u` says why it ended.',
  ],
  'unit-failed': [
    'The unit has failed; where a change is due it is started with the new state.',
    'Nothing while a change is under way; otherwise `journalctl -u`, then start it.',
  ],
  'unit-not-active': [
    'The unit did not become active in time.',
    '`journalctl -u`; give slow services a longer `verify.deadline`.',
  ],
  'unit-not-restarted': [
    'The unit is still the process from before the restart.',
    'Look at `systemctl list-jobs`; something may hold the job up.',
  ],
  'upstream-unreachable': [
    'A server that this client connects to does not answer.',
    'Look at that server and at the network between them.',
  ],
  'upstream-untrusted': [
    'The certificate of a server is not trusted with what this client was given.',
    "Wait if a rotation or rollout is under way; otherwise check `upstreamTrust` and the server's certificate.",
  ],
}
