import { alikeName } from '../../formats/field-name.ts';
import {
	type Authority,
	parseAuthority,
	parseRequestTarget,
	type RequestTarget,
} from '../../formats/request-target.ts';
import { type Refused, refused } from '../../model/cause.ts';
import type { RawHeaders } from './headers.ts';

/** A request head that can be read in one way only. */
export interface Head {
	readonly method: string;
	readonly target: RequestTarget;
	readonly host: Authority;
	/** Declared length; undefined when chunked, 0 when there is no body. */
	readonly length: number | undefined;
	readonly contentType: string | undefined;
	readonly contentEncoding: string | undefined;
	readonly connection: string | undefined;
	readonly expectsContinue: boolean;
	readonly proxyAuthorization: string | undefined;
}

// With these a server may act on something else than was judged.
const OVERRIDES: ReadonlySet<string> = new Set([
	'x-http-method-override',
	'x-http-method',
	'x-method-override',
	'x-original-url',
	'x-original-uri',
	'x-rewrite-url',
]);

// RFC 9110 §9.1: methods are case-sensitive, and some servers act on `delete` as on DELETE.
const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Z]+$/;

const broken = (rule: string): Refused => refused('undecodable', rule);

/**
 * Refuses what two parsers could read differently: two Hosts, a Host that
 * differs from the absolute form, userinfo, fragments, odd Transfer-Encodings, two lengths, upgrades
 * (RFC 9112 §3.2, §6.3, §7.8).
 */
export function readHead(method: string, url: string, version: string, raw: RawHeaders): Head | Refused {
	// Python's http.client, and so requests, opens tunnels by HTTP/1.0 and without a Host before Python 3.12. The target of
	// CONNECT stands in its first line alone (RFC 9110 §9.3.6), so that reads in one way too.
	const old = version === '1.0' && method === 'CONNECT';
	if (version !== '1.1' && !old) return broken(`HTTP/${version} is not taken`);
	if (!METHOD.test(method)) return broken('the method is not a token in upper case');
	let host: string | undefined;
	let length: string | undefined;
	let encoding: string | undefined;
	let contentType: string | undefined;
	let contentEncoding: string | undefined;
	let connection: string | undefined;
	let expect: string | undefined;
	let proxyAuthorization: string | undefined;
	for (let index = 0; index + 1 < raw.length; index += 2) {
		const name = raw[index] as string;
		const value = raw[index + 1] as string;
		const lower = name.toLowerCase();
		if (OVERRIDES.has(alikeName(lower))) return broken('a field by which some servers act on another method or path');
		switch (lower) {
			case 'host':
				if (host !== undefined) return broken('more than one Host');
				host = value;
				break;
			case 'content-length':
				if (length !== undefined) return broken('more than one Content-Length');
				length = value;
				break;
			case 'transfer-encoding':
				if (encoding !== undefined) return broken('more than one Transfer-Encoding');
				encoding = value;
				break;
			case 'content-type':
				if (contentType !== undefined) return broken('more than one Content-Type');
				contentType = value;
				break;
			case 'content-encoding':
				contentEncoding = contentEncoding === undefined ? value : `${contentEncoding}, ${value}`;
				break;
			case 'connection':
				connection = connection === undefined ? value : `${connection}, ${value}`;
				break;
			case 'expect':
				if (expect !== undefined) return broken('more than one Expect');
				expect = value;
				break;
			case 'proxy-authorization':
				if (proxyAuthorization !== undefined) return broken('more than one Proxy-Authorization');
				proxyAuthorization = value;
				break;
			case 'upgrade':
				return broken('Upgrade is not taken');
			case 'http2-settings':
				return broken('HTTP2-Settings is not taken');
		}
	}
	if (host === undefined && !old) return broken('no Host');
	if (old && (encoding !== undefined || length !== undefined)) return broken('an HTTP/1.0 CONNECT with a body');
	if (encoding !== undefined && encoding !== 'chunked') return broken('a Transfer-Encoding other than chunked');
	if (encoding !== undefined && length !== undefined) return broken('both Transfer-Encoding and Content-Length');
	if (length !== undefined && !/^\d{1,15}$/.test(length)) return broken('the Content-Length is not a number');
	if (expect !== undefined && expect.toLowerCase() !== '100-continue')
		return broken('an Expect other than 100-continue');
	// What the body is would be taken off on the way, and policy judge it as something else than the upstream.
	if (connection !== undefined && /(?:^|,)[\t ]*content-/i.test(connection))
		return broken('a Connection that nominates a field of the content');
	const target = parseRequestTarget(method, url);
	if ('broken' in target) return broken(target.broken);
	const named =
		target.form === 'absolute' && target.authorityText === host ? target.authority : parseAuthority(host ?? url);
	if ('broken' in named) return broken(`Host: ${named.broken}`);
	if (target.form === 'absolute') {
		const usual = target.scheme === 'https' ? 443 : 80;
		if (named.host !== target.authority.host || (named.port ?? usual) !== (target.authority.port ?? usual))
			return broken('Host differs from the absolute form');
	}
	// Clients name the target of CONNECT in Host with or without its port.
	if (
		target.form === 'authority' &&
		(named.host !== target.authority.host || (named.port ?? target.authority.port) !== target.authority.port)
	)
		return broken('Host differs from the CONNECT target');
	// RFC 9110 §9.3.6: what follows CONNECT is the tunnel's; a length would make the same bytes a body.
	if (target.form === 'authority' && (encoding !== undefined || (length !== undefined && Number(length) > 0)))
		return broken('CONNECT with a body');
	return {
		method,
		target,
		host: named,
		length: encoding !== undefined ? undefined : Number(length ?? 0),
		contentType,
		contentEncoding,
		connection,
		expectsContinue: expect !== undefined,
		proxyAuthorization,
	};
}
