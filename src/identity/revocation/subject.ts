import { patternProblem } from '../../formats/spiffe-pattern.ts';
import type { Broken } from '../trust.ts';

/** What a revocation names. */
export type SubjectKind = 'id' | 'pattern' | 'serial' | 'token';

/** In its one spelling: equal subjects are equal texts. */
export interface Subject {
	readonly kind: SubjectKind;
	/** `spiffe://…`, `serial:0A1B…` without leading zeros, `token:0123456789abcdef`. */
	readonly what: string;
}

/** Digits of a token's fingerprint. */
const FINGERPRINT = /^[0-9a-f]{16}$/;
const OCTETS = /^[0-9A-Fa-f]{1,2}(:[0-9A-Fa-f]{1,2})+$/;
/** RFC 5280 §4.1.2.2: up to 20 octets; some issuers write one more. */
const MAX_SERIAL = 42;

/** Serial of a certificate in its one spelling: upper-case hex, no leading zeros. */
export const serialText = (serial: string): string => serial.toUpperCase().replace(/^0+(?=.)/, '');

/**
 * Reads what an operator wrote: an id or pattern of SPIFFE IDs (formats/spiffe-pattern), `serial:HEX` in either case, with
 * or without colons and leading zeros, or `token:` and the fingerprint of a token.
 */
export function readSubject(text: string): Subject | Broken {
	if (text.startsWith('spiffe://')) {
		const problem = patternProblem(text);
		if (problem !== undefined) return { broken: problem };
		return { kind: text.includes('*') ? 'pattern' : 'id', what: text };
	}
	if (text.startsWith('serial:')) {
		const digits = text.slice('serial:'.length);
		const plain = OCTETS.test(digits) ? digits.split(':').map(octet => octet.padStart(2, '0')) : [digits];
		const serial = plain.join('').replace(/^0x/i, '');
		if (!/^[0-9A-Fa-f]+$/.test(serial)) return { broken: 'its serial is not HEX' };
		if (serial.length > MAX_SERIAL) return { broken: `its serial has more than ${MAX_SERIAL} digits` };
		return { kind: 'serial', what: `serial:${serialText(serial)}` };
	}
	if (text.startsWith('token:')) {
		const fingerprint = text.slice('token:'.length).toLowerCase();
		// Whoever writes a token here has shown it to shells and logs: it is not repeated.
		if (!FINGERPRINT.test(fingerprint))
			return { broken: "it is not a token's fingerprint, the first 16 hex digits of its SHA-256; never write a token" };
		return { kind: 'token', what: `token:${fingerprint}` };
	}
	return {
		broken:
			'it begins with none of spiffe://, serial: and token:; an agent is spiffe://TRUST_DOMAIN/agents/NAME, written out',
	};
}
