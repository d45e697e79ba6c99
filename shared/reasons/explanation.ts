// What an operator is told about a code beyond its message: the message says what happened here, the
// explanation what that means anywhere. Never imported by the agent, which must stay small.

/** What it means, one or two sentences; and what to do, in Markdown with links relative to `docs/`. */
export type Explanation = readonly [meaning: string, action: string]

/** By code: of a reason, or of an OperationalError. */
export type Explanations = Readonly<Record<string, Explanation>>
