import * as z from 'zod';
import { secret } from './credential.ts';
import { agentPattern, duration, size } from './values.ts';

/** `policy.bundles`: where policy comes from, and what is believed of it. */

const path = z.string().min(1);

const url = z
	.string()
	.max(2048)
	.regex(/^https:\/\//, 'a URL that begins with https://');

const algorithm = z
	.enum(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512'])
	.optional()
	.describe('How it signs; RS256 for RSA, that of the curve for EC, when absent.');

const verify = z.strictObject({
	key: path.optional().describe('PEM public key, for bundles with one signer.'),
	algorithm,
	keys: z
		.record(
			z.string().min(1).max(256),
			z.strictObject({ key: path.describe('PEM public key.'), algorithm: algorithm.describe('As beside `key`.') }),
		)
		.optional()
		.describe('Several public keys, by the key id that signatures name (`kid` or `keyid`).'),
	scope: z.string().min(1).max(1024).optional().describe('The scope that the signature must have; none when absent.'),
});

/** How Sallyport meets a server, and what it shows it. */
const server = {
	roots: path
		.optional()
		.describe("PEM CAs that the server's certificate is judged by; the system's roots when absent."),
	bearer: secret.optional().describe('A token, sent as `Authorization: Bearer`.'),
	present_svid: z.boolean().optional().describe("Show Sallyport's SVID as the client certificate."),
	timeout: duration.optional().describe('Time for one request; 30s when absent.'),
};

const poll = z.strictObject({
	min: duration.default(60_000).describe('Shortest time between two requests.'),
	max: duration.default(120_000).describe('Longest; each pause is drawn between the two.'),
	wait: duration
		.default(50_000)
		.describe('How long a server that can (long polling) may hold its answer back; 0 never asks it to.'),
});

export const bundle = z.strictObject({
	name: z
		.string()
		.regex(/^[a-z0-9][a-z0-9_-]*$/)
		.describe('Name of the bundle in records, metrics and `status`.'),
	path: path.optional().describe('A compiled bundle (.tar.gz), or a folder of Rego and data.'),
	files: z.array(path).min(1).optional().describe('Folders and files of Rego and data, compiled by `opa`.'),
	url: url.optional().describe("A compiled bundle at a server, by OPA's bundle protocol; redirects are not followed."),
	...server,
	poll: poll.optional().describe('For `url`: how often the server is asked.'),
	persist: z
		.boolean()
		.optional()
		.describe('For `url`: start from the last good one, kept below `policy.keep`; true when absent.'),
	limit: size.optional().describe('For `url`: greatest download; 64MiB, which is the most, when absent.'),
	verify: verify.optional().describe('For `url` and archives: the bundle must be signed, and by whom.'),
	shadow: z
		.boolean()
		.optional()
		.describe('Only try it: what it alone would have said is recorded beside each decision, and does nothing else.'),
	agents: z.array(agentPattern).min(1).optional().describe('For which agents it speaks; all when absent.'),
});

/** `policy.status`: where the status of the bundles is reported. */
export const statusReports = z.strictObject({
	url: url.describe("Where reports are sent by POST, in the form of OPA's status API."),
	...server,
	interval: duration.optional().describe('How often at least, beside every change; 5m when absent.'),
});

export type PolicyBundleConfig = z.output<typeof bundle>;
export type BundlePoll = z.output<typeof poll>;
export type BundleVerify = z.output<typeof verify>;
export type StatusReportsConfig = z.output<typeof statusReports>;
