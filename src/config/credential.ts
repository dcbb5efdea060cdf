import * as z from 'zod';
import type { SecretUse } from './secret-text.ts';
import { agentPattern, duration } from './values.ts';

/** What Sallyport shows upstreams in the place of agents: `upstreams.NAME.credentials`. */

const argument = z.string().regex(/^[^\0]*$/, 'a text without NUL');

const command = z.strictObject({
	command: z
		.array(argument)
		.min(1)
		.max(64)
		.describe('Program and arguments, started without a shell; what it prints is the secret.'),
	ttl: duration.default(300_000).describe('How long what it printed is good; it is run again after four fifths.'),
	timeout: duration.optional().describe('Time for one run; 10s when absent, or `ttl` where that is shorter.'),
});

const file = z.strictObject({ file: z.string().min(1).describe('File that holds it; watched.') });

/** A string that must not be shown, or where it comes from. What came from the environment is a string by now. */
export const secret = z
	.union(
		[z.string().min(1), file, command],
		'expected a string, { env: NAME }, { file: path } or { command: [program] }',
	)
	.meta({ id: 'secret', description: 'A string that is not shown, or where it comes from.' });

export type Secret = z.output<typeof secret>;
export type SecretCommand = z.output<typeof command>;

export const credential = z.strictObject({
	agents: z.array(agentPattern).min(1).describe('For which agents; the first entry that matches is used.'),
	name: z
		.string()
		.regex(/^[a-z][a-z0-9_-]{0,62}$/, 'a name that begins with a lower-case letter')
		.optional()
		.describe('How records, `status` and metrics name the entry; its place in the list, from 0, when absent.'),
	username: secret.optional().describe('For `postgres`: user name at the upstream.'),
	password: secret.optional().describe('For `postgres`: password at the upstream.'),
	header: z
		.strictObject({
			name: z.string().toLowerCase().describe('Name of the field.'),
			value: secret.describe('Value of the field.'),
		})
		.optional()
		.describe('For `http`: a header field of any name.'),
	bearer: secret.optional().describe('For `http`: a token, sent as `Authorization: Bearer`.'),
	basic: z
		.strictObject({ username: secret.describe('User name.'), password: secret.describe('Password.') })
		.optional()
		.describe('For `http`: user name and password, sent as `Authorization: Basic`.'),
	jwt_svid: z
		.strictObject({ audience: z.string().min(1).max(1024).describe('Whom the JWT-SVID is for.') })
		.optional()
		.describe("For `http`: Sallyport's own JWT-SVID from the Workload API, sent as `Authorization: Bearer`."),
});

export type CredentialConfig = z.output<typeof credential>;

/** What Sallyport shows a server that is no upstream: one header field. */
export const fieldCredential = credential.pick({ header: true, bearer: true, basic: true, jwt_svid: true });

export type FieldCredential = z.output<typeof fieldCredential>;

const USES: ReadonlyMap<string, SecretUse> = new Map([
	['username', 'login'],
	['password', 'login'],
	['header.value', 'header'],
	['bearer', 'bearer'],
	['basic.username', 'basic_username'],
	['basic.password', 'basic_password'],
	['token', 'login'],
	['nkey', 'login'],
	['creds', 'login'],
]);

/** What a string at this place of the configuration is used as; undefined where it is no secret that may be a program. */
export function useAt(path: readonly (string | number)[]): SecretUse | undefined {
	if (path[0] === 'upstreams' && path[2] === 'credentials') return USES.get(path.slice(4).join('.'));
	if (path[0] === 'policy' && path.at(-1) === 'bearer') return 'bearer';
	if (isOfSink(path)) return USES.get(path.slice(5).join('.'));
	return isOfTraces(path) ? USES.get(path.slice(4).join('.')) : undefined;
}

/** `audit.sinks[].KIND.credential` */
const isOfSink = (path: readonly (string | number)[]): boolean =>
	path[0] === 'audit' && path[1] === 'sinks' && path[4] === 'credential';

/** `telemetry.traces.otlp.credential` */
const isOfTraces = (path: readonly (string | number)[]): boolean =>
	path[0] === 'telemetry' && path[1] === 'traces' && path[3] === 'credential';

/** Whether something stands below the credentials of an upstream, a sink or the collector of traces. */
export const isOfCredentials = (path: readonly (string | number)[]): boolean =>
	(path[0] === 'upstreams' && path[2] === 'credentials') || isOfSink(path) || isOfTraces(path);

/** The secrets of an entry, each with its place in it. */
export function secretsOf(
	entry: FieldCredential & Partial<Pick<CredentialConfig, 'username' | 'password'>>,
): readonly { readonly at: readonly string[]; readonly secret: Secret }[] {
	const { username, password, header, bearer, basic } = entry;
	const all: readonly (readonly [readonly string[], Secret | undefined])[] = [
		[['username'], username],
		[['password'], password],
		[['header', 'value'], header?.value],
		[['bearer'], bearer],
		[['basic', 'username'], basic?.username],
		[['basic', 'password'], basic?.password],
	];
	return all.flatMap(([at, secret]) => (secret === undefined ? [] : [{ at, secret }]));
}
