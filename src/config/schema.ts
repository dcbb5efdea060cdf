import * as z from 'zod';
import { credential } from './credential.ts';
import { limits } from './limits.ts';
import { bundle, statusReports } from './policy-bundle.ts';
import { commit, sink } from './sinks.ts';
import { telemetry } from './telemetry.ts';
import {
	agentPattern,
	duration,
	endpointSocket,
	fileMode,
	hostPort,
	listenAddress,
	size,
	spiffeIdText,
	trustDomain,
} from './values.ts';
import { authenticate } from './ways.ts';

/**
 * The configuration file. Every key has a description: docs/configuration.md and the JSON Schema are made from here.
 * Paths are relative to the folder of the file. Unknown keys are errors.
 */

const path = z.string().min(1);
const agents = z.array(agentPattern).min(1);

const svid = z.strictObject({
	files: z
		.strictObject({
			certificate: path.describe('PEM chain, leaf first: the SVID that Sallyport shows to agents and upstreams.'),
			key: path.describe('PEM private key of the leaf.'),
			trust_bundle: path.describe('PEM CAs of the own trust domain; what agents are judged by.'),
			jwt_bundle: path
				.optional()
				.describe('JWK Set of the own trust domain: the keys by which JWT-SVIDs are judged; none when absent.'),
		})
		.optional()
		.describe('From files; watched, and swapped in as a checked pair.'),
	workload_api: z
		.strictObject({
			socket: endpointSocket
				.optional()
				.describe('`unix:///PATH` or `tcp://IP:PORT`; the environment variable SPIFFE_ENDPOINT_SOCKET when absent.'),
			svid: z
				.union([
					z.strictObject({ hint: z.string().min(1).max(1024).describe('The first SVID with this hint.') }),
					z.strictObject({ id: spiffeIdText.describe('The SVID with this SPIFFE ID.') }),
				])
				.optional()
				.describe('Which SVID is taken when there are several; the first when absent.'),
		})
		.optional()
		.describe('From a SPIFFE Workload API, such as a SPIRE agent, which renews it.'),
});

const endpoint = z.strictObject({
	url: z
		.string()
		.max(2048)
		.regex(/^https:\/\//, 'a URL that begins with https://')
		.describe('URL of the bundle endpoint; redirects are not followed.'),
	refresh: duration.optional().describe('How often it is fetched; what the bundle itself says, or 5m, when absent.'),
	roots: path
		.optional()
		.describe("PEM CAs that the endpoint's certificate is judged by; the system's roots when absent."),
});

const foreignBundle = z.strictObject({
	files: z.array(path).min(1).optional().describe('PEM CAs, or SPIFFE bundles (JWK Sets); watched.'),
	https_web: endpoint.optional().describe('A SPIFFE bundle endpoint whose certificate is one of the Web PKI.'),
});

const revocations = z.strictObject({
	url: z
		.string()
		.max(2048)
		.regex(/^https:\/\//, 'a URL that begins with https://')
		.optional()
		.describe('URL of the signed list; redirects are not followed.'),
	file: path.optional().describe('The signed list as a file, instead of `url`; watched.'),
	poll: duration
		.optional()
		.describe(
			'How often the URL is asked, and how long a server may hold its answer back until there is a new list; 30s when absent.',
		),
	verify_key: path.describe('PEM public keys; one of them must have signed the list.'),
	max_age: duration
		.optional()
		.describe('Calls are refused when the list in force was issued longer ago than this, or when there is none.'),
	roots: path
		.optional()
		.describe("PEM CAs that the server's certificate is judged by; the system's roots when absent."),
});

const identity = z.strictObject({
	trust_domain: trustDomain.describe('The own trust domain; checked against the SVID.'),
	svid: svid.describe('Where the SVID comes from: `files` or `workload_api`.'),
	trust_bundles: z
		.record(trustDomain, foreignBundle)
		.default({})
		.describe('Trust bundles of other trust domains, by their names; each judges its own domain only.'),
	revocations: revocations
		.optional()
		.describe('The list of revocations that a fleet follows, beside those of `sallyport revoke`.'),
	clock_skew: duration.default(0).describe('How far certificates may be from their validity and still be taken.'),
});

const policy = z.strictObject({
	files: z.array(path).min(1).optional().describe('Shorthand for one bundle named `default`.'),
	bundles: z.array(bundle).min(1).optional().describe('Several bundles: each that applies to the agent must allow.'),
	mode: z
		.enum(['enforce', 'observe'])
		.default('enforce')
		.describe('`observe` turns a completed deny into an allow that is recorded as such.'),
	opa: path.optional().describe('The `opa` executable; otherwise SALLYPORT_OPA, PATH, then the cached copy.'),
	keep: path.default('var/policy').describe('Folder in which every activated bundle is kept while a record names it.'),
	status: statusReports.optional().describe('Where the status of the bundles is reported; nowhere when absent.'),
	fuel: z
		.number()
		.int()
		.nonnegative()
		.max(2_000_000_000)
		.default(1_000_000)
		.describe(
			'Steps (turns of loops, and every 256 instructions) that one evaluation of a bundle may take; 0: without a limit.',
		),
	memory: size.default(64 * 1024 * 1024).describe('Greatest WebAssembly memory of one bundle.'),
});

const listener = z.strictObject({
	name: z
		.string()
		.regex(/^[a-z0-9][a-z0-9_-]*$/)
		.describe('Name in input, records and metrics.'),
	address: listenAddress.describe('`HOST:PORT`, or `unix:PATH`.'),
	serves: z
		.enum(['http_proxy', 'inbound', 'captured'])
		.optional()
		.describe(
			'`http_proxy`: absolute-form requests and CONNECT. `inbound`: what others call the workload behind for, at `upstream`. `captured`: connections that the packet filter redirects here, whatever they speak.',
		),
	upstream: z
		.string()
		.optional()
		.describe("Makes the listener a door to this upstream; with `serves: inbound`, the workload's own server."),
	agent: spiffeIdText.optional().describe('The workload behind, with `serves: inbound`: `target.agent` of the input.'),
	env: z
		.string()
		.regex(/^[A-Z_][A-Z0-9_]*$/)
		.optional()
		.describe('Variable in which `exec` and `doors` give the address of this door.'),
	user: z
		.string()
		.min(1)
		.max(63)
		.optional()
		.describe("Database user in that address, for a door to `postgres`; the last part of the agent's id when absent."),
	database: z.string().min(1).max(63).optional().describe('Database in that address, for a door to `postgres`.'),
	authenticate: authenticate
		.default('mtls')
		.describe('How an agent is known here; in a list, tried in the order given.'),
	agents: agents.optional().describe('Who may use this listener; every agent of the own trust domain when absent.'),
	mode: fileMode.default(0o660).describe('Mode of the Unix socket. Octal, and written so: `0o660`, or `"0660"`.'),
	connections: z.number().int().positive().optional().describe('Overrides `limits.connections`.'),
});

const tls = z.strictObject({
	trust_bundle: path.optional().describe("PEM CAs that the upstream is judged by; the system's roots when absent."),
	server_name: z
		.string()
		.min(1)
		.optional()
		.describe('SNI and the name that the certificate must have; the first of `hosts` when absent.'),
	spiffe_id: spiffeIdText
		.optional()
		.describe('SPIFFE ID that the upstream must show, instead of a name; judged by `trust_bundle`, or the own one.'),
	present_svid: z.boolean().default(false).describe("Show Sallyport's SVID as the client certificate."),
});

const upstream = z.strictObject({
	address: hostPort.describe('`HOST:PORT` that is dialled.'),
	hosts: z
		.array(z.string().min(1))
		.min(1)
		.optional()
		.describe('Host names by which calls name it; the host of `address` when absent.'),
	protocol: z.enum(['http', 'tcp', 'postgres']).describe('What it speaks.'),
	tls: tls.optional().describe('TLS to the upstream; none when absent.'),
	upgrade: z.boolean().default(false).describe('Let `http://` calls go to it although it has `tls`.'),
	tunnel: z
		.enum(['refuse', 'allow'])
		.default('refuse')
		.describe('Whether CONNECT to it is possible although its calls are inspected.'),
	effects: z
		.array(
			z.strictObject({
				methods: z.array(z.string()).min(1).optional().describe('Methods that the entry is for; all when absent.'),
				path: z.string().startsWith('/').optional().describe('Prefix of whole segments.'),
				effect: z.enum(['read', 'write', 'unknown']).describe('What policy and records are told of these calls.'),
			}),
		)
		.optional()
		.describe('Effects of HTTP calls by method and path, first match wins.'),
	credentials: z
		.array(credential)
		.min(1)
		.optional()
		.describe(
			'What Sallyport shows it in the place of agents: first match wins, no match denies. For `http` and `postgres`.',
		),
	forward_client_cert: z
		.boolean()
		.default(false)
		.describe("Tell it the agent's id, and certificate if there is one, in `x-forwarded-client-cert`. For `http`."),
	mode: z.enum(['enforce', 'observe']).optional().describe('Overrides `policy.mode`.'),
});

const audit = z.strictObject({
	directory: path.default('var/audit').describe('Where the chain is kept.'),
	on_failure: z
		.enum(['deny', 'continue'])
		.default('deny')
		.describe('What happens to calls when records cannot be written.'),
	durability: z
		.enum(['write', 'fsync'])
		.default('write')
		.describe('`write` survives kill -9 of the process; `fsync` survives the machine.'),
	limit: size.default(1024 ** 3).describe('Greatest size of the directory; reaching it is an audit failure.'),
	agent_share: z
		.number()
		.gt(0)
		.max(1)
		.default(0.5)
		.describe(
			'Once the directory is half full: how much of the room that is left one agent may fill, 1 for all of it. Who has filled its share is refused, alone.',
		),
	retain: duration.default(30 * 86400_000).describe('Acknowledged segments older than this are deleted.'),
	segment: z
		.strictObject({
			size: size.default(64 * 1024 ** 2).describe('At this size.'),
			age: duration.default(24 * 3600_000).describe('At this age.'),
		})
		.prefault({})
		.describe('When a segment ends and the next begins.'),
	checkpoint: duration.default(60_000).describe('How often a signed checkpoint is written.'),
	key: path.optional().describe("PEM private key that signs checkpoints; the SVID's key when absent."),
	sql: z.enum(['normalized', 'text', 'digest']).default('normalized').describe('How SQL text stands in records.'),
	bodies: z
		.enum(['digest', 'full'])
		.default('digest')
		.describe('Whether bodies, arguments and parameters stand in records, or salted digests.'),
	mask: z
		.strictObject({
			headers: z
				.array(z.string().toLowerCase())
				.default([
					'authorization',
					'proxy-authorization',
					'cookie',
					'set-cookie',
					'x-api-key',
					'api-key',
					'x-auth-token',
				])
				.describe('Header fields, of requests and answers.'),
			query: z
				.array(z.string())
				.default(['access_token', 'api_key', 'apikey', 'key', 'password', 'secret', 'sig', 'signature', 'token'])
				.describe('Query parameters.'),
		})
		.prefault({})
		.describe('Names of headers and query parameters whose values never stand in records.'),
	sinks: z.array(sink).default([]).describe('Where records are streamed.'),
	commit: commit
		.optional()
		.describe(
			'A sink that must have a decision before its call goes on: its name, or `sink` for the only one; the local write alone when absent.',
		),
});

const admin = z.strictObject({
	health: z
		.strictObject({ address: listenAddress.describe('`HOST:PORT`, or `unix:PATH`.') })
		.optional()
		.describe('/livez, /readyz and /metrics over plain HTTP.'),
	control: z
		.strictObject({
			socket: path.optional().describe("Unix socket; operators are known by the kernel's peer credentials."),
			users: z
				.array(z.number().int().nonnegative())
				.optional()
				.describe("User ids that may use the socket; root and Sallyport's own when absent."),
			address: listenAddress.optional().describe('`HOST:PORT` with mutual TLS.'),
			operators: agents
				.optional()
				.describe('Patterns of SPIFFE IDs that may use the address; refused on every listener.'),
		})
		.optional()
		.describe('The control API.'),
});

export const schema = z.strictObject({
	labels: z.record(z.string(), z.string()).default({}).describe('In every input and record.'),
	identity: identity.describe('Who Sallyport is, and by what agents are judged.'),
	policy: policy.describe('What decides.'),
	listeners: z.array(listener).min(1).describe('Where agents are accepted.'),
	upstreams: z
		.record(z.string().regex(/^[a-z0-9][a-z0-9_-]*$/), upstream)
		.default({})
		.describe('Named destinations.'),
	audit: audit.prefault({}).describe('What is written down.'),
	admin: admin.prefault({}).describe('Health, metrics and control.'),
	state: z
		.strictObject({
			sqlite: path
				.default('var/state.db')
				.describe('SQLite file that revocations are kept in. One for each Sallyport; made when it is not there.'),
		})
		.prefault({})
		.describe('What survives a restart.'),
	limits: limits.prefault({}).describe('Every limit.'),
	drain_timeout: duration.default(25_000).describe('How long calls in flight may go on after SIGTERM.'),
	telemetry: telemetry.prefault({}).describe('What is told beside records: metrics and traces.'),
	log: z
		.strictObject({
			level: z
				.enum(['debug', 'info', 'warn', 'error'])
				.default('info')
				.describe('The least important lines that are written.'),
		})
		.prefault({})
		.describe("Sallyport's own log, on stderr."),
});

/** The configuration after validation: durations in milliseconds, sizes in bytes, secrets resolved, paths absolute. */
export type Config = z.output<typeof schema>;
export type ListenerConfig = Config['listeners'][number];
export type UpstreamConfig = Config['upstreams'][string];
export type AuditConfig = Config['audit'];
export type PolicyConfig = Config['policy'];
export type IdentityConfig = Config['identity'];
export type Limits = Config['limits'];
