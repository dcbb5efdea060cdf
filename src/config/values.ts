import * as z from 'zod';

/** The value grammars of the configuration file. */

const DURATION = 'a duration such as 250ms, 30s, 5m, 24h or 30d';
const SIZE = 'a size such as 512B, 64KiB, 1MiB or 1GiB';

/** What is said of something that is no string, a bare number above all. */
const shaped = (expected: string) => ({
	error: ({ input }: { readonly input?: unknown }) => (input === undefined ? undefined : expected),
});

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `250ms`, `30s`, `5m`, `24h`, `30d` -> milliseconds. `0` is a zero. */
export const duration = z
	.preprocess(
		// YAML reads a bare 0 as a number.
		value => (value === 0 ? '0' : value),
		z.string(shaped(DURATION)).regex(/^(0|\d{1,9}(ms|s|m|h|d))$/, DURATION),
	)
	.transform(text => {
		const match = /^(\d+)(ms|s|m|h|d)$/.exec(text);
		return match === null ? 0 : Number(match[1]) * (UNITS[match[2] ?? 'ms'] ?? 1);
	});

const SIZES: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** `512B`, `64KiB`, `1MiB`, `1GiB` -> bytes. */
export const size = z
	.string(shaped(SIZE))
	.regex(/^\d{1,9}(B|KiB|MiB|GiB)$/, SIZE)
	.transform(text => {
		const match = /^(\d+)(B|KiB|MiB|GiB)$/.exec(text);
		return match === null ? 0 : Number(match[1]) * (SIZES[match[2] ?? 'B'] ?? 1);
	});

/** `0o660`, or as a string, which is octal in any case: `"0660"`, `"660"`. */
export const fileMode = z.union([
	z.number().int().min(0).max(0o777),
	z
		.string()
		.regex(/^(0o?)?[0-7]{3}$/, 'a file mode such as 0o660')
		.transform(text => Number.parseInt(text.replace('o', ''), 8)),
]);

export interface HostPort {
	/** Lower case, IPv6 without brackets. */
	readonly host: string;
	readonly port: number;
}

export function parseHostPort(text: string): HostPort | undefined {
	const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
	if (match === null) return undefined;
	const port = Number(match[3]);
	if (port > 65535) return undefined;
	return { host: (match[1] ?? match[2] ?? '').toLowerCase(), port };
}

/** `db.internal:5432`, `10.0.0.1:80`, `[::1]:80`. */
export const hostPort = z.string().transform((text, context) => {
	const parsed = parseHostPort(text);
	if (parsed !== undefined && parsed.port !== 0) return parsed;
	context.addIssue({ code: 'custom', message: 'expected HOST:PORT, for example db.internal:5432 or [::1]:80' });
	return z.NEVER;
});

export type ListenAddress = ({ readonly kind: 'tcp' } & HostPort) | { readonly kind: 'unix'; readonly path: string };

/** `127.0.0.1:17401`, or `unix:/run/sallyport/egress.sock`. Port 0 takes a free one. */
export const listenAddress = z.string().transform((text, context): ListenAddress => {
	if (text.startsWith('unix:') && text.length > 5) return { kind: 'unix', path: text.slice(5) };
	const parsed = parseHostPort(text);
	if (parsed !== undefined) return { kind: 'tcp', ...parsed };
	context.addIssue({ code: 'custom', message: 'expected HOST:PORT or unix:PATH, for example 127.0.0.1:17401' });
	return z.NEVER;
});

export const trustDomain = z
	.string()
	.max(255)
	.regex(/^[a-z0-9._-]+$/, 'a trust domain: lower-case letters, digits, dots, dashes and underscores');

/** Where a SPIFFE Workload API is served: `unix:///absolute/path` or `tcp://IP:port`. The grammar is checked by formats/endpoint-socket. */
export const endpointSocket = z
	.string()
	.regex(/^(unix:(\/\/)?\/|tcp:\/\/)/, 'a Workload API socket such as unix:///run/spire/agent.sock');

/** The grammar is checked by formats/spiffe-id; here only its shape, so that the schema stays plain. */
export const spiffeIdText = z
	.string()
	.max(2048)
	.regex(/^spiffe:\/\/[a-z0-9._-]+(\/[A-Za-z0-9._-]+)+$/, 'a SPIFFE ID such as spiffe://example.org/agents/researcher');

/** One segment may be `*`; the pattern may end in `/**`. */
export const agentPattern = z
	.string()
	.max(2048)
	.regex(
		/^spiffe:\/\/[a-z0-9._-]+(\/(\*|[A-Za-z0-9._-]+))*(\/\*\*)?$/,
		'a pattern of SPIFFE IDs such as spiffe://example.org/agents/*',
	);

/** A user of the kernel's, as the key of a map. The largest one stands for nobody (chown(2)). */
export const userId = z
	.string()
	.regex(/^(0|[1-9]\d{0,9})$/, 'a user id such as 1001')
	.refine(text => Number(text) < 2 ** 32 - 1, 'expected a user id such as 1001');

/** Of a header field (RFC 9110 §5.6.2), without an underscore, which some servers read as a dash. */
export const headerName = z
	.string()
	.max(64)
	.regex(/^[A-Za-z0-9-]+$/, 'a name of a header field such as x-forwarded-jwt')
	.toLowerCase();
