import { OID } from '../formats/der-certificate.ts';
import type { SpiffeId } from '../model/agent.ts';
import { type Minted, mint } from './mint.ts';
import { basicConstraints, extendedKeyUsage, keyUsage, type NameOrder, subjectAltName } from './mint-extensions.ts';

/** What the certificates of a development CA look like: as X509-SVID.md §3 and §4 want them. */

/** Certificates begin a little in the past, for clocks that are not quite right. */
const BACKDATED = 60_000;

export interface Validity {
	/** Milliseconds since the epoch. */
	readonly now: number;
	/** Milliseconds. */
	readonly lifetime: number;
}

/** A CA for one trust domain. With `issuer` an intermediate one, which may issue leaves only. */
export function mintCa(trustDomain: string, { now, lifetime }: Validity, issuer?: Minted): Minted {
	return mint({
		...(issuer === undefined ? {} : { issuer }),
		subject: [
			['O', trustDomain],
			['CN', issuer === undefined ? 'Sallyport development CA' : 'Sallyport development issuing CA'],
		],
		notBefore: now - BACKDATED,
		notAfter: now + lifetime,
		extensions: [
			basicConstraints(true, issuer === undefined ? undefined : 0),
			keyUsage(['keyCertSign', 'cRLSign']),
			subjectAltName([{ kind: 'uri', value: `spiffe://${trustDomain}` }]),
		],
	});
}

/**
 * An SVID. The subject holds no common name: some clients take one for a host name when there is no DNS name.
 * `names` are for Sallyport's own; agents have none.
 */
export function mintSvid(
	issuer: Minted,
	agent: SpiffeId,
	validity: Validity,
	names: readonly NameOrder[] = [],
): Minted {
	return mint({
		issuer,
		subject: [['O', agent.trustDomain]],
		notBefore: validity.now - BACKDATED,
		notAfter: validity.now + validity.lifetime,
		extensions: [
			basicConstraints(false),
			keyUsage(['digitalSignature']),
			extendedKeyUsage([OID.serverAuth, OID.clientAuth]),
			subjectAltName([{ kind: 'uri', value: agent.id }, ...names]),
		],
	});
}

/** The names under which agents reach Sallyport on their own host: localhost, 127.0.0.1 and ::1. */
export const LOOPBACK_NAMES: readonly NameOrder[] = [
	{ kind: 'dns', value: 'localhost' },
	{ kind: 'ip', value: '7f000001' },
	{ kind: 'ip', value: '00000000000000000000000000000001' },
];
