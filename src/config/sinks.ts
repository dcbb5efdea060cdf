import { z } from 'zod';
import { RECORD_TYPES } from '../model/record.ts';
import { type FieldCredential, fieldCredential } from './credential.ts';
import { duration, size } from './values.ts';

/** Where records are streamed: `audit.sinks`. */

const path = z.string().min(1);

const common = {
	name: z
		.string()
		.regex(/^[a-z][a-z0-9_-]{0,62}$/, 'a name that begins with a lower-case letter')
		.optional()
		.describe('How `audit.commit` names it.'),
	types: z
		.array(z.enum(RECORD_TYPES).transform((type): string => type))
		.min(1)
		.optional()
		.describe('Types of records that go there, all when absent; checkpoints always do.'),
};

/** What every sink behind a URL has. */
const remote = {
	...common,
	url: z
		.string()
		.max(2048)
		.regex(/^https?:\/\//, 'a URL that begins with https:// or http://')
		.describe('Where records are sent; redirects are not followed. `http://` without credentials only.'),
	credential: fieldCredential.optional().describe('What Sallyport shows it: one of the keys below.'),
	present_svid: z.boolean().default(false).describe("Show Sallyport's SVID as the client certificate."),
	roots: path
		.optional()
		.describe("PEM CAs that the server's certificate is judged by; the system's roots when absent."),
	batch: z
		.strictObject({
			bytes: size.default(32 * 1024).describe('Greatest body, compressed; one record that is larger goes alone.'),
			age: duration.default(1000).describe('How long a record waits for others; 0 sends at once.'),
		})
		.prefault({})
		.describe('How many records go at once.'),
	rate: size
		.default(16 * 1024 ** 2)
		.describe('Greatest size of the records that are sent in a second, so that catching up does not slow down calls.'),
	timeout: duration.default(10_000).describe('Time for one request, connecting included.'),
};

export const sink = z.union([
	z.strictObject({ stdout: z.strictObject(common).describe('To the standard output, one line per record.') }),
	z.strictObject({
		file: z
			.strictObject({ path: path.describe('The file that records are appended to.'), ...common })
			.describe('To a file, one line per record.'),
	}),
	z.strictObject({
		http: z
			.strictObject(remote)
			.describe("To a server, in the form of OPA's decision log: gzipped JSON arrays by POST."),
	}),
]);

export type SinkConfig = z.output<typeof sink>;
export type RemoteConfig = z.output<z.ZodObject<typeof remote>>;

export interface SinkPaths {
	readonly at: (path: string) => string;
	readonly credentialAt: (credential: FieldCredential) => FieldCredential;
}

/** With absolute paths. */
export function sinkAt(sink: SinkConfig, { at, credentialAt }: SinkPaths): SinkConfig {
	const remoteAt = <R extends RemoteConfig>({ roots, credential, ...rest }: R) => ({
		...rest,
		...(roots === undefined ? {} : { roots: at(roots) }),
		...(credential === undefined ? {} : { credential: credentialAt(credential) }),
	});
	if ('file' in sink) return { file: { ...sink.file, path: at(sink.file.path) } };
	if ('http' in sink) return { http: remoteAt(sink.http) };
	return sink;
}

/** What stands under the one key of a sink. */
export const settingsOf = (
	sink: SinkConfig,
): { readonly name?: string | undefined; readonly types?: readonly string[] | undefined } =>
	Object.values(sink)[0] ?? {};
