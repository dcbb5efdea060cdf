import type { CertificateFacts, GeneralName } from '../formats/der-certificate.ts';

/**
 * Name constraints (RFC 5280 §4.2.1.10) of one CA on one certificate below it. URI names, which is what SPIFFE IDs
 * are, and DNS names are judged; a constraint of another kind refuses a certificate that has a name of that kind.
 */

type Kind = GeneralName['kind'];

/** The rule that is broken; undefined when the certificate keeps to the constraints. */
export function constraintProblem(ca: CertificateFacts, below: CertificateFacts): string | undefined {
	const constraints = ca.nameConstraints;
	if (constraints === undefined) return undefined;
	const { permitted, excluded } = constraints;
	const names = below.subjectEmpty ? below.names : [...below.names, SUBJECT];
	for (const name of names) {
		const allowed = permitted.filter(({ kind }) => kind === name.kind);
		const forbidden = excluded.filter(({ kind }) => kind === name.kind);
		if (allowed.length === 0 && forbidden.length === 0) continue;
		if (name.kind !== 'uri' && name.kind !== 'dns')
			return `a name constraint of the kind ${name.kind} cannot be judged`;
		const host = hostOf(name);
		if (host === undefined) return `a name of the kind ${name.kind} cannot be compared with the name constraints`;
		if (forbidden.some(({ value }) => value === '' || within(name.kind, host, value))) {
			return `a name of the kind ${name.kind} is excluded by the name constraints of its CA`;
		}
		if (allowed.length > 0 && !allowed.some(({ value }) => within(name.kind, host, value))) {
			return `a name of the kind ${name.kind} is not permitted by the name constraints of its CA`;
		}
	}
	return undefined;
}

const SUBJECT: GeneralName = { kind: 'directory', value: '' };

/** The part that constraints speak of: a URI's host (a SPIFFE ID's trust domain), a DNS name without its wildcard. */
function hostOf({ kind, value }: GeneralName): string | undefined {
	if (kind === 'dns') return value.replace(/^\*\./, '').toLowerCase();
	return /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([A-Za-z0-9._-]+)(?:[/?#]|$)/.exec(value)?.[1]?.toLowerCase();
}

function within(kind: Kind, host: string, constraint: string): boolean {
	const base = constraint.toLowerCase();
	// A URI's constraint names one host, or with a leading dot everything below a domain but not the domain itself.
	if (kind === 'uri')
		return base.startsWith('.') ? host.endsWith(base) && host.length > base.length : host === base && base !== '';
	// A DNS name's constraint names a domain with everything below it.
	return base === '' || host === base || host.endsWith(base.startsWith('.') ? base : `.${base}`);
}
