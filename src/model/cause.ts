/**
 * The catalogue of causes: why a call was refused, or how it ended.
 * Closed: metrics, records, refusals and `audit query` key on it. docs/causes.md is generated from it.
 */

/** What kind of answer a cause deserves; each protocol maps a family to its own error. */
export type Family =
	/** The policy, or a rule of the target, says no. */
	| 'denied'
	/** A person must say yes first. */
	| 'approval'
	/** Sallyport cannot decide or cannot write down right now. */
	| 'unavailable'
	/** The caller is not known, or may not come this way. */
	| 'unidentified'
	/** The call cannot be read in exactly one way. */
	| 'malformed'
	/** A limit was passed. */
	| 'limit'
	/** The upstream could not be reached or broke off. */
	| 'upstream'
	/** It went as asked. */
	| 'done'
	/** The connection ended on the agent's side or by time. */
	| 'ended';

interface Entry {
	readonly family: Family;
	/** What happened, for whoever reads a refusal. */
	readonly means: string;
	/** What to do about it. */
	readonly remedy: string;
}

const entry = (family: Family, means: string, remedy: string): Entry => ({ family, means, remedy });

export const REFUSALS = {
	no_rule: entry(
		'denied',
		'No rule of the policy allows this call.',
		'Ask the policy author for an allow rule or a grant; `sallyport policy eval` shows what the policy sees.',
	),
	denied_by_rule: entry(
		'denied',
		'A deny rule of the policy refuses this call.',
		'The reasons name the rule; change the call, or the rule.',
	),
	approval_required: entry(
		'approval',
		'The policy wants a person to approve this call first.',
		'There is no way to approve a call yet; ask the policy author.',
	),
	phase_undefined: entry(
		'denied',
		'No policy bundle defines the package that judges this phase.',
		'Define `package sallyport.connect` or `sallyport.request` in the policy; for calls that come in, `sallyport.inbound.connect` or `sallyport.inbound.request`.',
	),
	policy_missing: entry(
		'unavailable',
		'No policy bundle is loaded for this agent.',
		'Check `policy` in the configuration and `sallyport status`.',
	),
	policy_error: entry(
		'denied',
		'The policy failed, or gave a malformed result.',
		'The record holds the error; run `sallyport policy check` and `policy test`.',
	),
	policy_exhausted: entry(
		'denied',
		'The policy took more steps than `policy.fuel` gives it, and was stopped.',
		'Look for what the policy does for each of many things, and look it up by key; or raise `policy.fuel`.',
	),
	body_unreadable: entry(
		'malformed',
		'The policy reads the body, and the body cannot be given to it whole.',
		'Send whole, uncompressed JSON within `limits.body`, or let the policy read `http.body_state`.',
	),
	undecodable: entry(
		'malformed',
		'The call could be read in more than one way, or in none.',
		'The detail names the rule that was broken; mend the client.',
	),
	identity_missing: entry(
		'unidentified',
		'The caller showed no identity.',
		'Present an X.509-SVID, or the token that was mounted for the agent.',
	),
	identity_invalid: entry(
		'unidentified',
		'The caller showed an identity that breaks a rule or is not trusted.',
		'The detail names the rule; check the SVID and the trust bundle.',
	),
	identity_expired: entry(
		'unidentified',
		'The identity of the caller is no longer, or not yet, valid.',
		'Renew the SVID; check the clocks.',
	),
	listener_forbidden: entry(
		'unidentified',
		'This agent may not use this listener.',
		'Add the agent to `agents` of the listener, or use another listener.',
	),
	revoked: entry('unidentified', 'The access of this agent was revoked.', 'Ask the operator who revoked it.'),
	address_forbidden: entry(
		'denied',
		'The target resolves to an address that may not be dialled.',
		'Declare the target as an upstream if its address is meant.',
	),
	name_unresolved: entry(
		'upstream',
		'The name of the target could not be resolved.',
		'Check the name and the DNS of this host.',
	),
	tunnel_to_inspected: entry(
		'denied',
		'A tunnel to an upstream whose calls are inspected would hide them.',
		'Use the absolute form of the request, or set `tunnel: allow` on the upstream.',
	),
	target_mismatch: entry(
		'denied',
		'What the call names as its target and where it would go do not agree.',
		'Make host, scheme, SNI and target agree.',
	),
	no_credential: entry(
		'denied',
		'The upstream has credentials, but none for this agent, or none that can be used now.',
		'Add an entry to `credentials` of the upstream; `sallyport status` says what is wrong with those that there are.',
	),
	audit_unavailable: entry(
		'unavailable',
		'The decision could not be written down.',
		'Free space in the audit directory, or raise `audit.limit` or, for one agent, `audit.agent_share`; with `audit.commit`, mend its sink. `sallyport status` shows the error.',
	),
	limit_exceeded: entry(
		'limit',
		'A limit was passed.',
		'The detail names the limit; send less, or raise it in the configuration.',
	),
	draining: entry(
		'unavailable',
		'Sallyport is stopping, or was configured anew: this connection takes no more calls.',
		'Send the call again on a new connection.',
	),
} as const satisfies Record<string, Entry>;

export const OUTCOMES = {
	completed: entry('done', 'The call went through to its end.', ''),
	upstream_unreachable: entry(
		'upstream',
		'No connection to the upstream could be opened.',
		'Check that the upstream runs and that its address is right.',
	),
	upstream_tls: entry(
		'upstream',
		'The TLS handshake with the upstream failed, or its certificate was refused.',
		'Check `tls` of the upstream: trust bundle, server name, expected SPIFFE ID.',
	),
	upstream_timeout: entry('upstream', 'The upstream did not answer in time.', 'Check the upstream, or raise `limits`.'),
	upstream_reset: entry('upstream', 'The upstream broke off in the middle.', 'Look at the log of the upstream.'),
	agent_aborted: entry('ended', 'The agent closed the connection before the end.', ''),
	session_expired: entry('ended', 'The session reached its greatest age, or its identity expired.', 'Connect again.'),
	policy_changed: entry(
		'ended',
		'A new policy or configuration would not have opened this session.',
		'Open it again; if that is refused, ask the policy author.',
	),
	unknown: entry(
		'ended',
		'Sallyport stopped before it saw the end.',
		'Ask the upstream what happened before you repeat the call.',
	),
} as const satisfies Record<string, Entry>;

export type Refusal = keyof typeof REFUSALS;
export type Outcome = keyof typeof OUTCOMES;
export type Cause = Refusal | Outcome;

const ALL: Readonly<Record<Cause, Entry>> = { ...REFUSALS, ...OUTCOMES };

export const CAUSES = Object.keys(ALL) as readonly Cause[];

export const familyOf = (cause: Cause): Family => ALL[cause].family;
export const meaningOf = (cause: Cause): string => ALL[cause].means;
export const remedyOf = (cause: Cause): string => ALL[cause].remedy;

/** A refusal as a value: what is thrown nowhere and handed everywhere. `detail` reaches the agent: no secrets in it. */
export interface Refused {
	readonly cause: Cause;
	readonly detail?: string;
}

export const refused = (cause: Cause, detail?: string): Refused =>
	detail === undefined ? { cause } : { cause, detail };
