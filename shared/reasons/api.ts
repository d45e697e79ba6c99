// How the controller answers requests.

import type { Explanations } from './explanation.ts'

export const API: Explanations = {
  'body-too-large': ['The request is larger than this route takes.', 'Send less at once.'],
  'certificate-not-accepted': [
    'The client certificate of the request names no operator, or does not hold; the message says which.',
    'It must be from the CA that `[operators] clientCa` of `controller.toml` names, be good and for clients, and carry a name of one operator: `tlsfleet operator ls`.',
  ],
  closing: ['The controller is stopping.', 'Try again in a moment.'],
  'dashboard-unbuilt': [
    'This build of the controller has no dashboard.',
    'Install the package, or run `npm run build`.',
  ],
  'foreign-page': [
    'A page of another origin has caused this request.',
    'Open the dashboard of this controller, or use the command line.',
  ],
  'idempotency-in-flight': [
    'A request with this key is under way.',
    'Wait for its answer, or send it again in a moment.',
  ],
  'idempotency-mismatch': [
    'The key was used for another request.',
    'Use a key of its own for every request that is not a repetition.',
  ],
  'idempotency-not-kept': [
    'The request has succeeded; its answer was too large to keep.',
    'Ask for what it made or changed.',
  ],
  'idempotency-secret': [
    'The request has succeeded; its answer held a secret, which is kept nowhere.',
    'Make another one.',
  ],
  'idempotency-unfinished': [
    'The request has begun, and its end is not known, because the controller was stopped.',
    'See what is there, then use another key.',
  ],
  'internal-error': [
    'The controller has a fault.',
    'Its log has the request id; please report it.',
  ],
  'invalid-spec': [
    'The fleet spec has mistakes.',
    'Correct what the message names: file, line and column. [The reference](reference/fleet-spec.md) has every key.',
  ],
  'last-admin': ['No operator with the role admin would be left.', 'Add another one first.'],
  'malformed-document': [
    'A document is not as its schema says.',
    'Correct what the message names.',
  ],
  'malformed-report': [
    'An agent sent a report that is not as the contract says.',
    'Agent and controller are of too different versions: upgrade the older one.',
  ],
  'malformed-request': [
    'The request is not as the API describes it.',
    '[The reference](reference/api.md) has every operation; the answer names the places.',
  ],
  'media-type-unsupported': [
    'The body has another media type than the route takes.',
    'Send `application/json`, or what the reference says.',
  ],
  'name-reserved': [
    'This name is used by the audit log for the controller itself.',
    'Choose another one.',
  ],
  'not-found': ['There is nothing of that name here.', 'Check the name; lists show what is there.'],
  'role-exceeds-operator': [
    'A token may not do more than its operator.',
    'Ask for a lower role, or change that of the operator.',
  ],
  'role-insufficient': [
    'The role of this login may not do this.',
    'Ask somebody with the role that the message names; `tlsfleet whoami` shows yours.',
  ],
  'route-without-policy': [
    'A route of the controller declares nobody who may call it, so it does not start.',
    'This is a fault of tlsfleet; please report it.',
  ],
  'service-not-desired': [
    'An agent asked for a certificate of a service that its node is not meant to have.',
    'Nothing if the fleet spec has just changed.',
  ],
  'service-without-certificate': [
    'An agent asked for a certificate of a product that is only a client.',
    'Upgrade the agent.',
  ],
  'too-many-requests': [
    'Too many requests came at once.',
    'Wait as long as `Retry-After` says; the command line does so by itself.',
  ],
  'too-many-streams': [
    'This caller watches too much at once.',
    'Close other watches; one stream takes every resource.',
  ],
  'too-many-tokens': [
    'The operator has as many tokens as it may.',
    'Revoke those that nobody uses: `tlsfleet token ls`.',
  ],
  unauthenticated: [
    'The request has no valid token or client certificate.',
    '`tlsfleet login`, or send `Authorization: Bearer …`. An admin makes tokens: `tlsfleet token create`.',
  ],
  'version-conflict': [
    'Somebody else has changed it at the same moment.',
    'Nothing: it is tried again.',
  ],
  'version-mismatch': ['It has changed since it was looked at.', 'Look at it again, then repeat.'],
  'wrong-fleet': [
    'The fleet spec is for another fleet.',
    'Use the right context (`tlsfleet context ls`) or file.',
  ],
  'operator-added': ['An operator was added.', 'Nothing: this is a record of the audit log.'],
  'operator-changed': ['An operator was changed.', 'Nothing: this is a record of the audit log.'],
  'operator-freeze': ['An operator holds changes back.', '`tlsfleet freeze ls` shows who and why.'],
}
