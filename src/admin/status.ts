import type { AuditStatus } from '../audit/contract.ts';
import type { Problem as ConfigProblem } from '../config/loaded.ts';
import type { PolicyConfig } from '../config/schema.ts';
import type { CredentialStatus } from '../identity/credentials/set.ts';
import type { RevocationsStatus } from '../identity/revocation/revocations.ts';
import type { IdentityStatus } from '../identity/status.ts';
import { VERSION } from '../model/version.ts';
import type { ReportsStatus } from '../policy/remote/status-reports.ts';
import type { PolicyStatus } from '../policy/source.ts';
import type { ReloadProblem } from './api.ts';
import { credentialsOf, type ShownCredential } from './credential-status.ts';
import { downloadOf, type ShownDownload } from './download-status.ts';
import type { NotReady } from './health.ts';
import { identityOf, type ShownIdentity } from './identity-status.ts';
import { revocationsOf, type ShownRevocations } from './revocations-status.ts';
import { time } from './time.ts';

/** What the parts say of themselves right now. Times are milliseconds since the epoch. */
export interface StatusParts {
	/** Path of the configuration file. */
	readonly config: string;
	readonly started: number;
	readonly notReady: readonly NotReady[];
	readonly draining: boolean;
	/** What some calls cannot be served for; others can. */
	readonly degraded: readonly NotReady[];
	readonly identity: IdentityStatus;
	readonly credentials: readonly CredentialStatus[];
	readonly policy: PolicyStatus;
	/** Undefined when the status of the bundles is reported nowhere. */
	readonly reports: ReportsStatus | undefined;
	/** `policy.mode` as it is in force. */
	readonly mode: PolicyConfig['mode'];
	readonly listeners: readonly { readonly name: string; readonly address: string; readonly connections: number }[];
	/** Listeners of configurations before that have connections. */
	readonly retired: number;
	readonly callsOpen: number;
	readonly audit: AuditStatus;
	readonly revocations: RevocationsStatus;
	/** Of the last reload of the configuration; empty when it was taken. */
	readonly configProblems: readonly ConfigProblem[];
	/** Sections of the configuration on disk that wait for a restart. */
	readonly restart: readonly string[];
}

/** The body of `GET /v1/status`: `snake_case`, times in RFC 3339, what is absent is not the case. */
export interface Status {
	readonly version: string;
	readonly node: string;
	readonly pid: number;
	readonly started: string;
	readonly ready: boolean;
	readonly not_ready: readonly NotReady[];
	/** What some calls are refused for, while others are served. */
	readonly degraded?: readonly NotReady[];
	readonly draining: boolean;
	readonly calls_open: number;
	readonly config: {
		readonly file: string;
		readonly problems?: readonly ReloadProblem[];
		readonly restart?: readonly string[];
		/** Listeners that connections from before a reload keep: each is let go with its last connection. */
		readonly retired?: number;
	};
	readonly identity: ShownIdentity;
	/** Of upstreams, in order. */
	readonly credentials?: readonly ShownCredential[];
	readonly policy: {
		readonly mode: string;
		readonly revision?: string;
		readonly bundles: readonly {
			readonly name: string;
			readonly revision: string;
			readonly from: readonly string[];
			readonly activated: string;
			readonly memory: number;
			/** Only tried: it has no say. */
			readonly shadow?: true;
		}[];
		/** Of bundles that are only tried. */
		readonly shadow_problems?: readonly ReloadProblem[];
		/** Of bundles that come from servers, in force or not. */
		readonly downloads?: readonly ShownDownload[];
		/** Of `policy.status`. */
		readonly reports?: { readonly url: string; readonly last_success?: string; readonly problem?: string };
		readonly last_success?: string;
		readonly last_attempt?: string;
		readonly problems?: readonly ReloadProblem[];
	};
	readonly listeners: StatusParts['listeners'];
	readonly revocations: ShownRevocations;
	readonly audit: {
		readonly directory: string;
		readonly chain: string;
		readonly seq: number;
		readonly bytes: number;
		readonly limit: number;
		readonly segments: number;
		readonly unwritable?: { readonly reason: string; readonly since: string };
		readonly lost: Readonly<Record<string, number>>;
		/** Agents that are refused because their records have taken their share; without `agent`: several. */
		readonly overdrawn?: readonly { readonly agent?: string; readonly since: string; readonly refused: number }[];
		/** Permitted calls without an outcome yet. */
		readonly open: number;
		/** Calls of the run before whose end nobody saw. */
		readonly unknown: number;
		readonly checkpoint?: { readonly seq: number; readonly time: string };
		readonly sinks: AuditStatus['sinks'];
	};
}

export function statusOf({
	config,
	started,
	notReady,
	degraded,
	draining,
	identity,
	credentials,
	policy,
	reports,
	mode,
	listeners,
	retired,
	callsOpen,
	audit,
	revocations,
	configProblems,
	restart,
}: StatusParts): Status {
	return {
		version: VERSION,
		node: process.version,
		pid: process.pid,
		started: time(started),
		ready: notReady.length === 0,
		not_ready: notReady,
		...(degraded.length === 0 ? {} : { degraded }),
		draining,
		calls_open: callsOpen,
		config: {
			file: config,
			...(configProblems.length === 0 ? {} : { problems: configProblems }),
			...(restart.length === 0 ? {} : { restart }),
			...(retired === 0 ? {} : { retired }),
		},
		identity: identityOf(identity),
		...(credentials.length === 0 ? {} : { credentials: credentialsOf(credentials) }),
		policy: {
			mode,
			...(policy.revision === undefined ? {} : { revision: policy.revision }),
			bundles: policy.bundles.map(({ name, revision, from, activated, memory, shadow }) => ({
				name,
				revision,
				from,
				activated: time(activated),
				memory,
				...(shadow === undefined ? {} : { shadow }),
			})),
			...(policy.untried.length === 0 ? {} : { shadow_problems: policy.untried }),
			...(policy.downloads.length === 0 ? {} : { downloads: policy.downloads.map(downloadOf) }),
			...(reports === undefined
				? {}
				: {
						reports: {
							url: reports.url,
							...(reports.lastSuccess === undefined ? {} : { last_success: time(reports.lastSuccess) }),
							...(reports.problem === undefined ? {} : { problem: reports.problem }),
						},
					}),
			...(policy.lastSuccess === undefined ? {} : { last_success: time(policy.lastSuccess) }),
			...(policy.lastAttempt === undefined ? {} : { last_attempt: time(policy.lastAttempt) }),
			...(policy.problems === undefined ? {} : { problems: policy.problems }),
		},
		listeners,
		revocations: revocationsOf(revocations),
		audit: auditOf(audit),
	};
}

function auditOf({
	directory,
	chain,
	seq,
	bytes,
	limit,
	segments,
	unwritable,
	lost,
	open,
	unknown,
	checkpoint,
	overdrawn,
	sinks,
}: AuditStatus): Status['audit'] {
	return {
		directory,
		chain,
		seq,
		bytes,
		limit,
		segments,
		...(unwritable === undefined ? {} : { unwritable: { reason: unwritable.reason, since: time(unwritable.since) } }),
		lost: { ...lost },
		...(overdrawn.length === 0
			? {}
			: {
					overdrawn: overdrawn.map(({ agent, since, refused }) => ({
						...(agent === undefined ? {} : { agent }),
						since: time(since),
						refused,
					})),
				}),
		open,
		unknown,
		...(checkpoint === undefined ? {} : { checkpoint: { seq: checkpoint.seq, time: time(checkpoint.time) } }),
		sinks,
	};
}
