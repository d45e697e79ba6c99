// Who an agent is, and who it talks to.

import type { Explanations } from './explanation.ts'

export const ENROLLMENT: Explanations = {
  'identity-ca-denied': [
    'The CA that issued the identity of this node was denied as compromised.',
    'Enroll the node again: `tlsfleet node token NAME`.',
  ],
  'identity-ca-retired': [
    'The CA that issued the identity is not trusted any more.',
    'Enroll the node again: `tlsfleet node token NAME`.',
  ],
  'identity-cloned': [
    'Two machines used one identity; both are locked out.',
    'Find the copy. Enroll the right machine with a new token, and others as nodes of their own.',
  ],
  'identity-denied': [
    'The node was removed or enrolled anew; this identity is not good any more.',
    'If this machine shall be the node, enroll it again: `tlsfleet node token NAME`.',
  ],
  'identity-expired': [
    'The client certificate of the agent has ended.',
    'It renews itself within the grace time by proof of its key. After that enroll it again: `tlsfleet node token NAME`.',
  ],
  'identity-foreign': [
    'The client certificate is of another fleet.',
    'Enroll the node at this controller, or point the agent to its own.',
  ],
  'identity-grace-over': [
    'The identity ended too long ago to be renewed by proof of its key.',
    'Enroll the node again: `tlsfleet node token NAME`. `[identity] grace` of controller.toml sets the time.',
  ],
  'identity-missing': [
    'The connection has no client certificate of an agent.',
    'Something takes TLS apart between agent and controller; it must reach the controller itself.',
  ],
  'identity-not-reported': [
    'The agent does not say whom it trusts.',
    'Upgrade the agent of this node.',
  ],
  'identity-old': [
    'The agent does not use an identity of the signing CA yet.',
    'Nothing while the agent is connected; otherwise bring it back.',
  ],
  'identity-refused': [
    'The controller does not accept the identity of this node.',
    'The message has the code of the reason; most likely the node must be enrolled again.',
  ],
  'identity-revoked': [
    'An operator has revoked the identity of this node.',
    'If it shall come back: `tlsfleet node token NAME` and enroll it again.',
  ],
  'identity-unknown': [
    'This controller has not issued the client certificate.',
    'Was the controller restored from an older backup? Then enroll the node again: `tlsfleet node token NAME`.',
  ],
  'malformed-answer': [
    'What answered is not what the protocol says, or another node was meant.',
    'Check the URL: it must be a port of tlsfleet-controller, and nothing in between may change answers.',
  ],
  'proof-invalid': [
    'The proof that the agent has its key does not fit the key or the connection.',
    'TLS must reach the controller itself: nothing in between may take it apart.',
  ],
  'protocol-unsupported': [
    'Agent and controller are of too different versions.',
    'Upgrade the older one; see [upgrade](operations.md#upgrade-and-downgrade).',
  ],
  restored: [
    'The controller was restored from a backup; what was under way then has been ended or taken over.',
    'Look at `tlsfleet rollout ls` and apply again what was under way.',
  ],
  'token-expired': [
    'The enrollment token has ended.',
    'Make a new one: `tlsfleet node token NAME`.',
  ],
  'token-invalid': [
    'The enrollment token is not known.',
    'Copy the whole line, or make a new one: `tlsfleet node token NAME`.',
  ],
  'token-malformed': [
    'The enrollment token is not whole.',
    'Copy the whole token: it is one word.',
  ],
  'token-used': [
    'The enrollment token was used by another machine.',
    'Make a new one: `tlsfleet node token NAME`. If you did not use it, revoke the node: somebody else has.',
  ],
  'wrong-ca-pin': [
    'What answers is not the controller that the token was made by. Nothing was sent.',
    'Something else answers at this address, or the token is of another fleet.',
  ],
  'identity-proven-late': [
    'An identity that had ended was renewed by proof of its key.',
    'Nothing: this is a record of the audit log. The node was away for long.',
  ],
}
