// What a rotation waits for.

import type { Explanations } from './explanation.ts'

export const ROTATIONS: Explanations = {
  'author-confirms': [
    'Whoever began the rotation confirmed that trust is removed, or approved a rollout of it; the fleet spec asks for others (`rollout.approvals`).',
    'Another operator with the role approver or admin runs `tlsfleet ca advance ID`, or `tlsfleet rollout approve ID`. There is no way round it.',
  ],
  'authority-conflict': [
    'Another CA of this kind signs already.',
    'Let the rotation that is under way end: `tlsfleet ca status`.',
  ],
  'barrier-holds': ['All nodes fulfil what this phase needs, so the rotation goes on.', 'Nothing.'],
  'ca-tainted': [
    'The CA that is left was declared compromised, so no phase waits for an operator, but for a second person where the fleet spec asks for one.',
    'Nothing; see [rotation](ca-rotation.md).',
  ],
  confirmed: ['All nodes fulfil what this phase needs, and an operator let it go on.', 'Nothing.'],
  'fleet-unsettled': [
    'The newest revision is not what the fleet has.',
    'Apply the fleet spec that is to hold, and rotate then.',
  ],
  'leaf-in-use': [
    'The newest certificate of a service is from the CA that is left and still good, and nobody saw what is served.',
    'Bring the node back or wait for its report; remove it if it is gone.',
  ],
  'mode-differs': [
    'The node reports another mode than `enforce`.',
    'Wait for its next report; if it stays, apply the fleet spec.',
  ],
  'not-moved': [
    'The node has not been moved to the next phase yet.',
    'Nothing: the rollout of this phase does it. If it stays, `tlsfleet rollout ls`.',
  ],
  'not-selected': [
    'No entry of the fleet spec selects the node, and it holds what the rotation replaces.',
    'Select it in the fleet spec, or remove the node.',
  ],
  'nothing-to-rotate': [
    'There is nothing to rotate: no fleet spec was applied, or the given one changes neither issuer nor trust.',
    'Apply with `tlsfleet apply -f fleet.yaml`.',
  ],
  'rollout-gone': [
    'The rollout of this phase is not in the store any more; the store was restored.',
    '`tlsfleet ca resume`, or take it back: `tlsfleet ca abort`.',
  ],
  'rollout-stopped': [
    'The rollout of this phase did not succeed, so the rotation has stopped.',
    'Look at that rollout, repair what is wrong, then `tlsfleet ca resume` or `tlsfleet ca abort`.',
  ],
  'rotation-held': [
    'The rotation has been in one phase for a long time.',
    '`tlsfleet ca status` says which nodes it waits for.',
  ],
  'rotation-open': [
    'A rotation is under way, and there is only one at a time.',
    'Let it end or take it back: `tlsfleet ca status`, `tlsfleet ca abort`.',
  ],
  'rotation-reversed': ['The rotation is being taken back, so this rollout was ended.', 'Nothing.'],
  'serves-old': [
    'A listener still serves a certificate of the CA that is left.',
    'Nothing while its node is being renewed. If it stays: `tlsfleet node show`.',
  ],
  'token-pins-old': [
    'An enrollment token pins the root that is left.',
    'Use it or let it end; make new tokens with `tlsfleet node token NAME`.',
  ],
  'trust-holds-old': [
    'The agent still trusts the root that is left.',
    'Nothing while the agent is connected; otherwise bring it back.',
  ],
  'trust-lacks-new': [
    'The agent does not trust the new root yet.',
    'Nothing while the agent is connected; otherwise bring it back.',
  ],
}
