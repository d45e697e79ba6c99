// What agents say of themselves.

import type { Explanations } from './explanation.ts'

export const NODE_AGENT: Explanations = {
  'address-unusable': [
    'A program could not listen on an address and port.',
    'Find who has the port with `ss -ltnp`, or choose another. Ports below 1024 need rights that the controller does not have.',
  ],
  'agent-failed': [
    'The running agent ended, or could not answer, while it was asked through its socket.',
    'Look at `journalctl -u tlsfleet-agent` of this node, then ask again.',
  ],
  'agent-not-running': [
    'No agent answers on the socket of this node.',
    'Start it: `systemctl start tlsfleet-agent`. Run the command as root. Without a controller use `--desired FILE`.',
  ],
  'agent-running': [
    'An agent runs already with this state directory, and two must never write at the same time.',
    'Stop the agent first (`systemctl stop tlsfleet-agent`), or use another `--state-dir` and `--root`.',
  ],
  'agent-starting': [
    'The agent has just been started and cannot answer yet.',
    'Ask again in a moment.',
  ],
  'config-invalid': [
    "A setting of agent.toml, controller.toml, or of the client's configuration is not valid.",
    'Correct the setting that the message names. [agent.toml](reference/agent-toml.md) and [controller.toml](reference/controller-toml.md) list what is allowed.',
  ],
  'controller-unreachable': [
    'The controller could not be reached, or the TLS connection to it could not be verified.',
    'Check name, port and firewall; the cause is in the message. `tlsfleet doctor` and `tlsfleet-agent doctor` look at each part of the way. Agents go on with what they have meanwhile.',
  ],
  'desired-conflict': [
    'A generation came again with another content.',
    'Two controllers may be at work for one fleet. Stop the one that was left behind; see [disaster recovery](operations.md#disaster-recovery).',
  ],
  'desired-damaged': [
    'The digest of the document does not fit its content.',
    'It is asked for again. If it repeats, something between agent and controller changes the traffic, or the versions do not fit.',
  ],
  'desired-file-invalid': [
    'The file for `--desired` is not valid.',
    'Correct what the message names; `tlsfleet-agent schema` prints the schema.',
  ],
  'desired-file-unreadable': [
    'The file for `--desired` could not be read.',
    'Check path and rights.',
  ],
  'desired-other-node': [
    'The document is for another node.',
    'Was the state of one node copied to another? Enroll this node with a token of its own.',
  ],
  'desired-outdated': [
    'The document is older than one that was accepted already.',
    'Nothing: the controller gives a newer one. If it stays, see `older-epoch`.',
  ],
  'identity-damaged': [
    'The identity of this node cannot be read.',
    'Enroll the node again with a new token: `tlsfleet node token NAME`.',
  ],
  'lease-unanswered': [
    'The agent is ready to change something and has no answer to its question for permission.',
    'The controller is away or busy; see `controller-unreachable`. Nothing is changed meanwhile, except where `[offline]` of agent.toml allows renewals.',
  ],
  'not-enrolled': [
    'The node has no identity: no agent has enrolled as it.',
    '`tlsfleet node token NAME` prints the line to run on the node.',
  ],
  'older-epoch': [
    'The controller gives out documents of an epoch before the newest one that the agent has seen.',
    'The controller was restored from an old backup, or a copy was left running. Stop the copy, or restore again with `--above-epoch`: [disaster recovery](operations.md#disaster-recovery).',
  ],
  'request-refused': [
    'The controller or a product refused a request.',
    'The message has its answer, with a code of its own: look that up.',
  ],
  'roots-refused': [
    'The roots that the controller names do not follow from those that the agent trusts.',
    'Do not force it. Is this the right controller? See [rotation](ca-rotation.md); at worst enroll the node anew.',
  ],
  'token-unreadable': [
    'The file with the token could not be read.',
    'Check path and rights, or give `--token`.',
  ],
  'unsupported-desired-state': [
    'The document of the controller has a form that this agent does not know.',
    'Upgrade the agent; upgrade agents before you use new features of the controller.',
  ],
}
