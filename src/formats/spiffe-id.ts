import type { SpiffeId } from '../model/agent.ts';

/** Greatest length of a SPIFFE ID in bytes (SPIFFE-ID.md §2.3). */
export const MAX_SPIFFE_ID = 2048;
/** Greatest length of a trust domain name in bytes (SPIFFE-ID.md §2.1). */
const MAX_TRUST_DOMAIN = 255;

const SCHEME = 'spiffe://';
const TRUST_DOMAIN = /^[a-z0-9._-]+$/;
const SEGMENT = /^[A-Za-z0-9._-]+$/;

/** Which rule was broken, in words for whoever made the id. */
export interface BrokenSpiffeId {
	readonly broken: string;
}

/**
 * Reads a SPIFFE ID (SPIFFE-ID.md §2). There is exactly one spelling of an id: nothing is decoded, folded or
 * normalized, so equal ids are equal strings. A trust domain's own id, `spiffe://example.org`, has an empty path.
 */
export function parseSpiffeId(text: string): SpiffeId | BrokenSpiffeId {
	if (text.length === 0) return broken('it is empty');
	// Only ASCII passes the rules below, so that UTF-16 units and bytes are the same number where it matters.
	if (text.length > MAX_SPIFFE_ID) return broken(`it is longer than ${MAX_SPIFFE_ID} bytes`);
	if (!text.startsWith(SCHEME)) return broken('its scheme is not spiffe://');
	const slash = text.indexOf('/', SCHEME.length);
	const trustDomain = slash === -1 ? text.slice(SCHEME.length) : text.slice(SCHEME.length, slash);
	const path = slash === -1 ? '' : text.slice(slash);
	const domainProblem = trustDomainProblem(trustDomain);
	if (domainProblem !== undefined) return broken(domainProblem);

	const segments = path === '' ? [] : path.slice(1).split('/');
	const prefixes: string[] = [];
	let end = 0;
	for (const [index, segment] of segments.entries()) {
		if (segment === '') {
			return broken(index === segments.length - 1 ? 'its path ends in /' : 'its path has an empty segment');
		}
		if (segment === '.' || segment === '..') return broken(`its path has the segment ${segment}`);
		if (!SEGMENT.test(segment))
			return broken('its path has a character other than letters, digits, dot, dash, underscore');
		end += segment.length + 1;
		prefixes.push(path.slice(0, end));
	}
	return Object.freeze({
		id: text,
		trustDomain,
		path,
		segments: Object.freeze(segments),
		prefixes: Object.freeze(prefixes),
	});
}

/** Why a text is not the name of a trust domain; undefined when it is one. */
export function trustDomainProblem(name: string): string | undefined {
	if (name === '') return 'its trust domain is empty';
	if (name.length > MAX_TRUST_DOMAIN) return `its trust domain is longer than ${MAX_TRUST_DOMAIN} bytes`;
	if (!TRUST_DOMAIN.test(name)) {
		return 'its trust domain has a character other than lower-case letters, digits, dot, dash, underscore';
	}
	return undefined;
}

const broken = (rule: string): BrokenSpiffeId => ({ broken: rule });
