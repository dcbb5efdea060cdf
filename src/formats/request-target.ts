import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { looksLikeAddress } from './ip-range.ts';

/**
 * Request targets (RFC 9112 §3.2), read strictly and never rewritten: what two parsers could read differently
 * is broken. `new URL` is not used: it rewrites paths and hosts.
 */

export interface Authority {
	/** Lower case, no trailing dot, IPv6 without brackets. */
	readonly host: string;
	/** Undefined when the authority has no port. */
	readonly port: number | undefined;
}

export type RequestTarget =
	| { readonly form: 'origin'; readonly path: string; readonly query: string | undefined }
	| {
			readonly form: 'absolute';
			readonly scheme: 'http' | 'https';
			readonly authority: Authority;
			readonly authorityText: string;
			readonly path: string;
			readonly query: string | undefined;
	  }
	| { readonly form: 'authority'; readonly authority: Authority & { readonly port: number } }
	| { readonly form: 'asterisk' };

export interface Broken {
	/** Which rule was broken. */
	readonly broken: string;
}

const HOST_NAME = /^(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?$/;
const IPV6 = /^[0-9a-f:.]{2,45}$/;
// pchar of RFC 3986 §3.3 with `/`; a percent sign must begin a whole triplet.
const PATH = /^\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*$/;
// What agents' libraries leave unescaped in queries beyond RFC 3986 is taken; white space, controls, `#`, quotes and non-ASCII are not.
const QUERY = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?[\]{}|^`\\]|%[0-9A-Fa-f]{2})*$/;

/** `host`, `host:port`, `[v6]:port` (RFC 3986 §3.2 without userinfo). */
export function parseAuthority(text: string): Authority | Broken {
	if (text.length === 0 || text.length > 300) return { broken: 'the host is missing or too long' };
	if (text.includes('@')) return { broken: 'the authority has userinfo' };
	let host: string;
	let rest: string;
	if (text.startsWith('[')) {
		const end = text.indexOf(']');
		if (end < 0) return { broken: 'the host is not an IPv6 literal' };
		host = text.slice(1, end).toLowerCase();
		rest = text.slice(end + 1);
		if (!IPV6.test(host) || !isIPv6(host)) return { broken: 'the host is not an IPv6 literal' };
		// One spelling (RFC 5952), so that rules, upstreams and checks see the same. Dotted tails carry IPv4 and are never public.
		if (!host.includes('.')) host = ipaddr.IPv6.parse(host).toRFC5952String();
	} else {
		const colon = text.indexOf(':');
		host = (colon < 0 ? text : text.slice(0, colon)).toLowerCase();
		rest = colon < 0 ? '' : text.slice(colon);
		if (host.length > 254 || !HOST_NAME.test(host)) return { broken: 'the host is not a host name' };
		if (looksLikeAddress(host)) return { broken: 'the host is an IPv4 address in an odd form' };
		if (host.endsWith('.')) host = host.slice(0, -1);
	}
	if (rest === '') return { host, port: undefined };
	const match = /^:(\d{1,5})$/.exec(rest);
	const port = Number(match?.[1]);
	if (match === null || port === 0 || port > 65535) return { broken: 'the port is not a port' };
	return { host, port };
}

const ESCAPED_UNRESERVED = /%(?:3[0-9]|[46][1-9a-f]|[57][0-9a]|2[de]|5f)/i;

/** A dot segment in any spelling. */
const DOTS = /^(?:\.|%2e){1,2}(?:;|$)/i;

function parsePath(text: string): { path: string; query: string | undefined } | Broken {
	const mark = text.indexOf('?');
	const path = mark < 0 ? text : text.slice(0, mark);
	const query = mark < 0 ? undefined : text.slice(mark + 1);
	if (!PATH.test(path))
		return { broken: path.includes('#') ? 'the target has a fragment' : 'the path has bytes that must be escaped' };
	if (query !== undefined && !QUERY.test(query))
		return { broken: query.includes('#') ? 'the target has a fragment' : 'the query has bytes that must be escaped' };
	const segments = readSegments(path);
	return 'broken' in segments ? { broken: `the path has ${segments.broken}` } : { path, query };
}

export function parseRequestTarget(method: string, text: string): RequestTarget | Broken {
	if (method === 'CONNECT') {
		const authority = parseAuthority(text);
		if ('broken' in authority) return authority;
		if (authority.port === undefined) return { broken: 'CONNECT without a port' };
		return { form: 'authority', authority: { host: authority.host, port: authority.port } };
	}
	if (text.startsWith('/')) {
		const parsed = parsePath(text);
		return 'broken' in parsed ? parsed : { form: 'origin', ...parsed };
	}
	if (text === '*') return method === 'OPTIONS' ? { form: 'asterisk' } : { broken: '* is for OPTIONS only' };
	const match = /^(https?):\/\/([^/?#]*)(.*)$/i.exec(text);
	if (match === null) return { broken: 'the target is in no form of RFC 9112 §3.2' };
	const authority = parseAuthority(match[2] ?? '');
	if ('broken' in authority) return authority;
	const rest = match[3] ?? '';
	const parsed = parsePath(rest.startsWith('/') ? rest : `/${rest}`);
	if ('broken' in parsed) return parsed;
	return {
		form: 'absolute',
		scheme: (match[1] ?? '').toLowerCase() as 'http' | 'https',
		authority,
		authorityText: match[2] ?? '',
		...parsed,
	};
}

/**
 * The decoded segments of a path, `/a/b%20c` -> `['a', 'b c']`; a trailing slash leaves an empty last one.
 * Undefined where an upstream could read the path differently than a policy does: dot segments, escaped or
 * doubled separators, NUL, invalid UTF-8.
 */
export function decodeSegments(path: string): string[] | undefined {
	const segments = readSegments(path);
	return 'broken' in segments ? undefined : segments;
}

/** As {@link decodeSegments}, or what the path has that it must not have. */
function readSegments(path: string): string[] | Broken {
	const segments = path.slice(1).split('/');
	for (let index = 0; index < segments.length; index++) {
		let segment = segments[index] ?? '';
		if (segment.includes('%')) {
			// `%65` is `e` to every server (RFC 3986 §6.2.2.2) but not to a rule about the path; old clients escape `~`.
			if (ESCAPED_UNRESERVED.test(segment))
				return { broken: DOTS.test(segment) ? 'a dot segment' : 'an escaped character that needs no escape' };
			try {
				segment = decodeURIComponent(segment);
			} catch {
				return { broken: 'an escape that is not UTF-8' };
			}
			if (/[/\\]/.test(segment)) return { broken: 'an escaped slash or backslash' };
			if (segment.includes('\0')) return { broken: 'an escaped NUL' };
			segments[index] = segment;
		}
		// `/a;x/../b`: parameters of a dot segment are dropped by some servers before they resolve it.
		if (segment === '.' || segment === '..' || segment.startsWith('..;') || segment.startsWith('.;'))
			return { broken: 'a dot segment' };
		if (segment === '' && index < segments.length - 1) return { broken: 'an empty segment' };
	}
	return segments;
}

/** The query as lists by name (application/x-www-form-urlencoded); undefined when an escape is not UTF-8. */
export function decodeQuery(query: string): Map<string, string[]> | undefined {
	const lists = new Map<string, string[]>();
	if (query === '') return lists;
	for (const pair of query.split('&')) {
		if (pair === '') continue;
		const equals = pair.indexOf('=');
		let name = equals < 0 ? pair : pair.slice(0, equals);
		let value = equals < 0 ? '' : pair.slice(equals + 1);
		try {
			name = decodeURIComponent(name.replaceAll('+', ' '));
			value = decodeURIComponent(value.replaceAll('+', ' '));
		} catch {
			return undefined;
		}
		const list = lists.get(name);
		if (list === undefined) lists.set(name, [value]);
		else list.push(value);
	}
	return lists;
}
