import type { Identity } from '../../model/agent.ts';
import { type Refused, refused } from '../../model/cause.ts';
import { parseCredentials } from '../../protocols/http/credentials.ts';
import type { Head } from '../../protocols/http/head.ts';
import type { AgentRequest } from './request.ts';

/** What a request shows of who sent it. */
export interface Shown {
	readonly who: Identity | Refused;
	/** Name of the field that held it, when the upstream must not see that. */
	readonly field?: string;
}

type TakesToken = (username: string, password: string) => Identity | Refused;

/**
 * By a token of Sallyport's. A proxy is shown it in Proxy-Authorization; at a door clients know only Authorization,
 * which then goes no further. Undefined when there is none.
 */
export function byToken(request: AgentRequest, head: Head, door: boolean, take: TakesToken): Shown | undefined {
	if (head.proxyAuthorization !== undefined) return { who: tokenIn(head.proxyAuthorization, take) };
	const authorization = door ? request.field('authorization') : undefined;
	return authorization === undefined ? undefined : { who: tokenIn(authorization, take), field: 'authorization' };
}

/** By the one token of a request that cannot be read in one way; undefined where there is none, or more. */
export function byTokenInVain({ fields }: AgentRequest, door: boolean, take: TakesToken): Shown | undefined {
	const name = door ? 'authorization' : 'proxy-authorization';
	const values = fields.filter((_, index) => index % 2 === 1 && fields[index - 1]?.toLowerCase() === name);
	return values.length === 1 ? { who: tokenIn(values[0] ?? '', take) } : undefined;
}

function tokenIn(text: string, take: TakesToken): Identity | Refused {
	const parsed = parseCredentials(text);
	return parsed === undefined
		? refused('identity_invalid', 'the credentials are not Basic or Bearer')
		: take(parsed.username, parsed.password);
}

/** Whether Authorization holds a token of Sallyport's, good here or not. */
export function holdsToken(request: AgentRequest, take: TakesToken): boolean {
	const { fields } = request;
	for (let index = 0; index + 1 < fields.length; index += 2) {
		if (fields[index]?.toLowerCase() !== 'authorization') continue;
		const parsed = parseCredentials(fields[index + 1] ?? '');
		if (parsed === undefined) continue;
		const who = take(parsed.username, parsed.password);
		if (!('cause' in who) || (who.cause !== 'identity_invalid' && who.cause !== 'identity_missing')) return true;
	}
	return false;
}

/** Where other credentials than a JWT-SVID are usual: only `Bearer` is one there. */
const SHARED: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization']);

/** By a JWT-SVID (JWT-SVID.md §5.2, RFC 6750 §2.1) in the field of this name, lower case. Undefined when there is none. */
export function byJwtSvid(
	request: AgentRequest,
	field: string,
	identify: (token: string) => Identity | Refused,
): Shown | undefined {
	let text: string | undefined;
	const { fields } = request;
	for (let index = 0; index + 1 < fields.length; index += 2) {
		if (fields[index]?.toLowerCase() !== field) continue;
		// Whatever stands before Sallyport and Sallyport could each take another one.
		if (text !== undefined) return { who: refused('identity_invalid', `more than one ${field}`) };
		text = fields[index + 1];
	}
	if (text === undefined) return undefined;
	const bearer = /^bearer +([^ ]+)$/i.exec(text)?.[1];
	if (bearer === undefined && SHARED.has(field) && !/^bearer\b/i.test(text)) return undefined;
	return { who: identify(bearer ?? text) };
}
