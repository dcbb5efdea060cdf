/** Names of header fields (RFC 9110 §5.1). */

export const isFieldName = (name: string): boolean => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}$/.test(name);

/** A lower-case name as CGI and its heirs may read it: they take `x_a` for `x-a`, and some `x.a` too. */
export const alikeName = (lower: string): string => (ODD.test(lower) ? lower.replace(EVERY_ODD, '-') : lower);

const ODD = /[^a-z0-9-]/;
const EVERY_ODD = /[^a-z0-9-]/g;

/**
 * Fields of an agent's request that go no further, lower case: RFC 9110 §7.6.1, with what proxies have taken to mean the
 * same, what the forwarder writes itself (Host, Content-Length), and what would let an agent pretend to be a proxy
 * (x-forwarded-client-cert).
 */
export const NOT_FORWARDED: ReadonlySet<string> = new Set([
	'connection',
	'content-length',
	'expect',
	'host',
	'http2-settings',
	'keep-alive',
	'proxy-authenticate',
	'proxy-authorization',
	'proxy-connection',
	'te',
	'trailer',
	'transfer-encoding',
	'upgrade',
	'x-forwarded-client-cert',
]);
