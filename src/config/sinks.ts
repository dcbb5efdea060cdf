import * as z from 'zod';
import { RECORD_TYPES } from '../model/record.ts';
import { type FieldCredential, fieldCredential, type Secret, secret } from './credential.ts';
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

const roots = path
	.optional()
	.describe("PEM CAs that the server's certificate is judged by; the system's roots when absent.");

const rate = size
	.default(16 * 1024 ** 2)
	.describe('Greatest size of the records that are sent in a second, so that catching up does not slow down calls.');

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
	roots,
	batch: z
		.strictObject({
			bytes: size.default(32 * 1024).describe('Greatest body, compressed; one record that is larger goes alone.'),
			age: duration.default(1000).describe('How long a record waits for others; 0 sends at once.'),
		})
		.prefault({})
		.describe('How many records go at once.'),
	rate,
	timeout: duration.default(10_000).describe('Time for one request, connecting included.'),
};

/** Collectors take bodies of megabytes. */
const otlpBatch = z
	.strictObject({
		bytes: size.default(128 * 1024).describe('Greatest body, compressed; one record that is larger goes alone.'),
		age: duration.default(1000).describe('How long a record waits for others; 0 sends at once.'),
	})
	.prefault({})
	.describe('How many records go at once.');

const natsCredential = z.strictObject({
	token: secret.optional().describe('A token.'),
	username: secret.optional().describe('User name.'),
	password: secret.optional().describe('Password.'),
	nkey: secret.optional().describe('Seed of an NKey, which signs what the server asks.'),
	creds: secret.optional().describe("What a user's credentials file holds: a JWT and its seed."),
});

export type NatsCredential = z.output<typeof natsCredential>;

const nats = z.strictObject({
	...common,
	servers: z
		.array(z.string().max(2048))
		.min(1)
		.describe('`nats://HOST:PORT`, or `tls://HOST:PORT`, which must be TLS; tried in the order given.'),
	subject: z
		.string()
		.max(256)
		.regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/, 'a subject without wildcards, such as audit.sallyport')
		.default('sallyport.audit')
		.describe('Records go to `SUBJECT.TYPE`; a stream must take them.'),
	credential: natsCredential
		.optional()
		.describe('What Sallyport shows: `token`, `username` and `password`, `nkey`, or `creds`.'),
	present_svid: z.boolean().default(false).describe("Show Sallyport's SVID as the client certificate."),
	roots,
	batch: z
		.strictObject({ age: duration.default(50).describe('How long a record waits for others; 0 sends at once.') })
		.prefault({})
		.describe('How many records go at once.'),
	rate,
	timeout: duration.default(10_000).describe('Time to connect, and for acknowledgements.'),
});

export type NatsConfig = z.output<typeof nats>;

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
	z.strictObject({
		otlp: z
			.strictObject({ ...remote, batch: otlpBatch })
			.describe('To an OpenTelemetry collector, as logs: OTLP over HTTP, protobuf.'),
	}),
	z.strictObject({ nats: nats.describe('To a stream of NATS JetStream, one message per record.') }),
]);

export type SinkConfig = z.output<typeof sink>;
export type RemoteConfig = z.output<z.ZodObject<typeof remote>>;

export interface SinkPaths {
	readonly at: (path: string) => string;
	readonly credentialAt: (credential: FieldCredential) => FieldCredential;
	readonly secretAt: (secret: Secret) => Secret;
}

/** With absolute paths. */
export function sinkAt(sink: SinkConfig, { at, credentialAt, secretAt }: SinkPaths): SinkConfig {
	const remoteAt = <R extends RemoteConfig>({ roots: ca, credential, ...rest }: R) => ({
		...rest,
		...(ca === undefined ? {} : { roots: at(ca) }),
		...(credential === undefined ? {} : { credential: credentialAt(credential) }),
	});
	if ('file' in sink) return { file: { ...sink.file, path: at(sink.file.path) } };
	if ('http' in sink) return { http: remoteAt(sink.http) };
	if ('otlp' in sink) return { otlp: remoteAt(sink.otlp) };
	if ('nats' in sink) {
		const { roots: ca, credential, ...rest } = sink.nats;
		const secrets = Object.entries(credential ?? {}).map(([key, value]) => [key, value && secretAt(value)]);
		return {
			nats: {
				...rest,
				...(ca === undefined ? {} : { roots: at(ca) }),
				...(credential === undefined ? {} : { credential: Object.fromEntries(secrets) }),
			},
		};
	}
	return sink;
}

const committed = z.strictObject({
	sink: z.string().min(1).describe('Its `name`, or `sink`: the only one that there is.'),
	timeout: duration
		.default(2000)
		.describe('How long a call waits for it; then it is refused with `audit_unavailable`.'),
});

/** Which sink a call waits for. */
export const commit = z.union([
	z
		.string()
		.min(1)
		.transform(text => committed.parse({ sink: text })),
	committed,
]);
