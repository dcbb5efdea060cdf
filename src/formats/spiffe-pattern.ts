import { parseSpiffeId, trustDomainProblem } from './spiffe-id.ts';

/**
 * Patterns of SPIFFE IDs, one grammar everywhere: `*` stands for exactly one whole path segment, a `/**` at the
 * end for the rest, one segment or more. The trust domain is always written out, so that no pattern crosses it.
 */

export type IdMatcher = (id: string) => boolean;

const SCHEME = 'spiffe://';

/** Why a text is not a pattern; undefined when it is one. */
export function patternProblem(text: string): string | undefined {
	if (!text.startsWith(SCHEME)) return 'it does not begin with spiffe://';
	const [domain = '', ...segments] = text.slice(SCHEME.length).split('/');
	const domainProblem = trustDomainProblem(domain);
	if (domainProblem !== undefined) return domainProblem;
	const rest = segments.at(-1) === '**';
	// What is not a wildcard must be able to stand in an id; a pattern that can match nothing is a mistake.
	const literal = segments.slice(0, rest ? -1 : undefined).map(segment => (segment === '*' ? 'x' : segment));
	const id = parseSpiffeId([SCHEME + domain, ...literal, ...(rest ? ['x'] : [])].join('/'));
	return 'broken' in id ? id.broken : undefined;
}

/**
 * Compiles one pattern. The matcher takes ids as `parseSpiffeId` accepted them; anything else does not match.
 * Throws RangeError on what is not a pattern: matching nothing in its place would open what a pattern forbids.
 */
export function compilePattern(text: string): IdMatcher {
	const problem = patternProblem(text);
	if (problem !== undefined) throw new RangeError(`not a pattern of SPIFFE IDs: ${text}: ${problem}`);
	const rest = text.endsWith('/**');
	const parts = (rest ? text.slice(0, -3) : text).split('/');
	if (!parts.includes('*')) {
		if (!rest) return id => id === text;
		const prefix = text.slice(0, -2);
		return id => id.length > prefix.length && id.startsWith(prefix) && !('broken' in parseSpiffeId(id));
	}
	return id => {
		const given = id.split('/');
		if (rest ? given.length <= parts.length : given.length !== parts.length) return false;
		for (const [index, part] of parts.entries()) {
			if (part !== '*' && part !== given[index]) return false;
		}
		return !('broken' in parseSpiffeId(id));
	};
}

/** One matcher for a list of patterns: true if any matches; an empty list matches nothing. Throws as `compilePattern`. */
export function matchesAny(patterns: readonly string[]): IdMatcher {
	const matchers = patterns.map(compilePattern);
	return id => matchers.some(matches => matches(id));
}
