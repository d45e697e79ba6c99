// Why a change moves through the fleet, or does not.

import type { Explanations } from './explanation.ts'

export const ROLLOUTS: Explanations = {
  'approval-missing': [
    'The rollout waits for approvals.',
    'Somebody else with the role approver or admin runs `tlsfleet rollout approve`.',
  ],
  'approvals-lowered': [
    'The fleet spec asks for fewer approvals (`rollout.approvals`) than the one before it, and who would apply it is no admin.',
    'Leave `rollout.approvals` as it is, or have an admin apply the spec.',
  ],
  batch: ['Another batch is under way.', 'Wait, or look at it: `tlsfleet rollout watch`.'],
  'batch-empty': [
    'No node of the batch was changed, so nothing was proven and the rollout does not go on to the next.',
    'Look why with `tlsfleet rollout show`; then bring nodes back and `resume`, or `promote`.',
  ],
  'budget-leased': [
    'Nodes of the group are being changed, and no more may be down at once.',
    'Wait. `tlsfleet group show` says who has a lease.',
  ],
  'budget-none': [
    'The group can lose none of its members, so that none of them may be interrupted.',
    'Add members, or say `acceptQuorumLoss: true` in the group when its outage is known and wanted; correct its kind or `replication` if it is declared wrongly.',
  ],
  'budget-out': [
    'Nodes of the group are out, and it can spare no more.',
    'Bring them back: `tlsfleet group show` says which and why. A node that is out itself may be changed.',
  ],
  'cluster-as-before': ['The cluster is as well as it was before the batch.', 'Nothing.'],
  'cluster-leaderless': [
    'The cluster has lost its leader since the batch began.',
    'Look at the cluster; `tlsfleet rollout rollback` if the change is the cause.',
  ],
  'cluster-members-lost': [
    'The cluster has lost members since the batch began.',
    'Look at the members that are missing; `tlsfleet rollout rollback` if the change is the cause.',
  ],
  'cluster-recovering': [
    'The cluster was still recovering when the time was over.',
    'Wait until it is green, then `tlsfleet rollout resume`.',
  ],
  'cluster-silent': [
    'No member of the cluster tells how it is.',
    'Look at the agents and services of its members; then `resume`, or `promote` if you know that it is well.',
  ],
  'cluster-worse': [
    'The cluster is worse than before the batch.',
    'Look at the cluster; `tlsfleet rollout rollback` if the change is the cause.',
  ],
  'connection-refused': [
    'Nothing listens at that address and port.',
    'Look at the service, and at the address it listens on.',
  ],
  'connection-reset': [
    'The connection was closed without an answer.',
    'The listener may expect something else, or a firewall cuts the connection.',
  ],
  'connection-timeout': [
    'There was no answer in time.',
    'Look at firewall and route; the service may be overloaded.',
  ],
  contradicted: [
    'The node reports success, but another node sees something else.',
    'Look at the listener from that other node: another process, a proxy or another address may answer.',
  ],
  'contradictory-report': [
    'The node reports another document for its current generation.',
    'Two agents may run with one identity, or the controller is not the only one: see `identity-cloned` and `older-epoch`.',
  ],
  draining: ['The rollout is being stopped; nodes at work finish.', 'Wait.'],
  frozen: [
    'A freeze holds changes back.',
    '`tlsfleet freeze ls` shows who has set it and why; `tlsfleet freeze rm` lifts it.',
  ],
  'gate-empty': [
    'The query of a gate has no samples, so a threshold says nothing.',
    'Correct the query, or see that its metric is collected.',
  ],
  'gate-fail': [
    'A gate says that the batch is bad.',
    'Its evidence is in `tlsfleet rollout gates`. `rollback`, or `promote` if you know better.',
  ],
  'gate-failed': [
    'A gate says that the batch is bad, so the rollout has stopped.',
    'Its evidence is in `tlsfleet rollout gates`. `rollback`, or `promote` if you know better.',
  ],
  'gate-inconclusive': [
    'A gate could not say whether the batch is good.',
    'Its evidence is in `tlsfleet rollout gates`. `resume` asks it again, `promote` goes on without it.',
  ],
  'gate-pass': ['A gate says that the batch is good.', 'Nothing.'],
  'gate-silent': [
    'A gate has not said anything in time.',
    'Is its server up and reachable from the controller? Then `resume`.',
  ],
  'gate-unanswered': [
    'The server of a gate could not be asked, or its answer was too long.',
    'Check address, CA and token of this server in `[[gates]]` of controller.toml.',
  ],
  'gate-unlisted': [
    'The fleet spec names a server for a gate that controller.toml does not list.',
    'Add its origin to `[[gates]]` of controller.toml and restart the controller.',
  ],
  'gate-unreadable': [
    'The server of a gate gave an answer that is no verdict.',
    'Correct the webhook or query; [rollouts](rollouts.md) says what is expected.',
  ],
  'gate-unusable': [
    'A gate of controller.toml cannot be used.',
    'Correct the setting or file that the message names.',
  ],
  'generation-pending': [
    'The node has not reported its newest document yet.',
    'Nothing for a minute; then look at the agent.',
  ],
  'group-red': [
    'The group was red before the rollout began, and nothing is begun there.',
    'Repair the group first, or `tlsfleet rollout start` to begin all the same.',
  ],
  'host-unreachable': [
    'No connection to that address is possible.',
    'Look at route, firewall and name resolution of the node that looks.',
  ],
  'illegal-transition': [
    'What was asked for is not possible in this state.',
    'Look at the state: `tlsfleet rollout show`, `tlsfleet ca status` or `tlsfleet csr ls`.',
  ],
  'lease-granted': ['The node may change something now.', 'Nothing.'],
  'members-undeclared': [
    'A cluster has members that the group does not name; they do not raise what it can spare.',
    'Add those members as nodes, or leave it: the group is treated carefully.',
  ],
  'members-unseen': [
    'The cluster of a group does not count some of its nodes among its members.',
    'Look at those nodes: have they joined the cluster?',
  ],
  'no-answer': [
    'The agent did not answer in time what it would change.',
    'Ask again, with a longer `--wait`.',
  ],
  'no-progress': [
    'Nothing has moved in the rollout for a long time.',
    '`tlsfleet rollout show` says what each node waits for.',
  ],
  'no-reason': [
    'The node reports an outcome without a reason.',
    'Upgrade the agent; look at its log.',
  ],
  'no-rollout': ['Nothing holds this node back.', 'Nothing.'],
  'no-second-vantage': [
    'No other node can look at this one, so its own proof counts alone.',
    'Nothing if it must be so. A second agent that reaches the listener makes the proof stronger.',
  ],
  'node-removed': [
    'The node was removed from the fleet while the rollout was under way.',
    'Nothing.',
  ],
  'not-in-cluster': [
    'The other members do not count this node among them.',
    'Join it to its cluster, or repair it.',
  ],
  'not-in-rollout': ['The node is not part of this rollout.', 'Check id and name.'],
  'not-permitted': [
    'The node has no permit for this change now.',
    'Nothing: the rollout gives one when its turn comes.',
  ],
  'not-started': ['The rollout waits for an operator who starts it.', '`tlsfleet rollout start`.'],
  'nothing-desired': [
    'The newest revision does not select this node.',
    'Nothing, or add an entry for it to the fleet spec.',
  ],
  'nothing-to-do': ['There is nothing to plan or to change.', 'Nothing.'],
  'operator-abort': ['An operator ended the rollout.', 'Nothing.'],
  'outside-maintenance': [
    'Changes are made in maintenance times only, and this is none.',
    'Wait for the next one, or change `maintenance` in the fleet spec.',
  ],
  'overlapping-rollout': [
    'Another rollout that has not ended has one of these nodes.',
    'Wait for it, or end it: `tlsfleet rollout abort`.',
  ],
  paused: [
    'The rollout is paused.',
    '`tlsfleet rollout show` says why; `tlsfleet rollout resume` goes on.',
  ],
  'not-asked': [
    'The node was not asked what it would change, so the rollout holds it to nothing but the content.',
    'Nothing; with `--wait` above 0 nodes are asked.',
  ],
  'permit-claimed': ['The node has its permit and is at work.', 'Nothing.'],
  'permit-stale': [
    'The node asked for a permit of an older document.',
    'Nothing: it gets the newest one.',
  ],
  'permit-unclaimed': [
    'The agent did not claim its permit in time.',
    'Look at the agent of this node.',
  ],
  'preview-unknown': ['The plan of a node is not known any more.', 'Plan again.'],
  'quorum-loss': [
    'The change would take down a group that can spare no member.',
    'Add members, or say `acceptQuorumLoss: true` in the group if its outage is known.',
  ],
  'rollout-failed': [
    'The rollout has failed.',
    '`tlsfleet rollout show` says which node and why. Then `retry` or `rollback`.',
  ],
  'seen-other-certificate': [
    'Another node sees another certificate at this listener than the agent does.',
    'Does another process, a proxy or a load balancer answer at this name?',
  ],
  'seen-plaintext': [
    'Another node gets an answer without TLS where TLS is wanted.',
    'Does another process, a proxy or a load balancer answer at this name?',
  ],
  'seen-tls': [
    'Another node gets an answer with TLS where plaintext is wanted.',
    'Does another process, a proxy or a load balancer answer at this name?',
  ],
  'seen-unhealthy': [
    'As seen from another node, the product answers with an error.',
    'Look at the log of the service.',
  ],
  'seen-untrusted': [
    'Another node does not trust what this listener serves.',
    'See that the certificate has the name that others use, and that its chain is whole.',
  ],
  'service-inactive': ['The service is stopped.', 'Start it when you want it to run.'],
  'service-not-reported': [
    'The node has not said anything about this service yet.',
    'Nothing for a minute; then look at the agent.',
  ],
  silent: [
    'The agent claimed its permit and has not been heard of since.',
    'Look at the node at once: the change may be half done, and the agent finishes or undoes it when it runs. `tlsfleet rollout force-release` frees the group if the node is lost.',
  ],
  staging: [
    'Nodes are being prepared; none is switched before all have been.',
    'Wait. `tlsfleet rollout show` says which node is not ready.',
  ],
  'stale-generation': [
    'The node asked with an older document than its current one.',
    'Nothing: it gets the newest one.',
  ],
  'stale-plan': ['What the plan was made from is not so any more.', 'Plan again.'],
  'step-in-motion': [
    'The node is being changed by a rollout, so it corrects nothing beside it.',
    'Wait.',
  ],
  'tls-alert': [
    'TLS was refused, or the answer is not TLS.',
    'Compare versions and certificates of both sides; a plaintext listener answers like this too.',
  ],
  'section-reached': ['All nodes of the group are there, and may go on.', 'Nothing.'],
  'stop-overdue': [
    'The service did not stop in time, so the change of its group was given up.',
    'Look at its unit and its log; then apply again.',
  ],
  together: [
    'The nodes of a group stop, switch and start together, and not all are there yet; before the stop they are those that are still being saved.',
    'Wait. One that is not heard of sends all of them back.',
  ],
  'together-back': [
    'Another node of the group could not go on, so all have put back what was there.',
    'Look why that one failed with `tlsfleet rollout show`, then apply again.',
  ],
  'together-empty': [
    'A group was to be changed as a whole, and none of its members is changed.',
    'Leave it out of `--together`.',
  ],
  'together-unanswered': [
    'The controller did not say for ten minutes whether the nodes of the group may go on; this one has put back what was there.',
    'Look why it does not answer, then apply again.',
  ],
  'group-unknown': ['The fleet has no group of this name.', '`tlsfleet group show` lists them.'],
  'too-early': [
    'The node may still be at work, so its lease is not taken yet.',
    'Wait as long as the message says.',
  ],
  'trust-closure': [
    'The change would leave clients without trust in their servers on its way.',
    'Change issuers step by step: `tlsfleet ca rotate --issuer -f fleet.yaml`. See [rotation](ca-rotation.md).',
  ],
  unacknowledged: [
    'The change takes the whole group down and waits for an operator.',
    '`tlsfleet rollout promote` when the group may be down.',
  ],
  'unit-inactive': ['The unit is stopped.', 'Start it when you want it to run.'],
  unknown: ['Nothing is known of it yet.', 'Wait for a report of the node.'],
  'vantage-confused': [
    'Another node has answered another question than was asked.',
    'Upgrade its agent.',
  ],
  'vantage-silent': [
    'No other node has answered whether it sees the listener.',
    'Look at the agents that should look.',
  ],
  'vantage-unreachable': [
    'No other node reaches the listener any more, although its own agent says that all is well.',
    'Look at firewall, listen address and name of the node.',
  ],
  'window-influxdb-cluster': [
    'Nodes of an InfluxDB cluster do not understand each other while some have TLS and others do not.',
    'Plan the change for a time when that is acceptable; hinted handoff keeps writes.',
  ],
  'window-elasticsearch-copies': [
    'With several Elasticsearch nodes the change takes one of them out at a time, and the cluster is not told so.',
    'Give the agents credentials (`[credentials.elasticsearch]`; with `overPlaintext = true` also for the first switch to TLS). Else have copies of every shard, so that searches go on.',
  ],
}
