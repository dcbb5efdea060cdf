import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Audit, type AuditDeps, openAudit } from '../../src/audit/audit.ts';
import type { AuditConfig } from '../../src/config/schema.ts';
import { identity } from '../../src/model/agent.ts';
import type { MaskedText } from '../../src/model/call.ts';
import type { Conn } from '../../src/model/conn.ts';
import { Life } from '../../src/model/life.ts';
import type { DecisionRecord } from '../../src/model/record.ts';
import { target } from '../../src/model/target.ts';

export async function temporary(t: TestContext): Promise<string> {
	const directory = await mkdtemp(join(tmpdir(), 'sallyport-audit-'));
	t.after(() => rm(directory, { recursive: true, force: true }));
	return directory;
}

export const configOf = (directory: string, more: Partial<AuditConfig> = {}): AuditConfig => ({
	directory,
	on_failure: 'deny',
	durability: 'write',
	limit: 64 * 1024 * 1024,
	agent_share: 1,
	retain: 30 * 86_400_000,
	segment: { size: 8 * 1024 * 1024, age: 86_400_000 },
	checkpoint: 60_000,
	sql: 'normalized',
	bodies: 'digest',
	mask: { headers: [], query: [] },
	sinks: [],
	...more,
});

export interface Held {
	now: number;
}

export const START = Date.UTC(2026, 2, 3, 10, 0, 0, 0);

export const depsOf = (more: Partial<AuditDeps> = {}, held: Held = { now: START }): AuditDeps => ({
	labels: { cluster: 'dev' },
	instance: 'sallyport-1',
	signer: () => undefined,
	clock: { now: () => held.now },
	metrics: { written() {}, lost() {}, failure() {}, oldestUnsent() {}, refused() {} },
	svid: () => undefined,
	credentials: { field: () => () => undefined, texts: () => () => undefined },
	log: () => {},
	...more,
});

/** Opened, and closed after the test whatever happens. */
export async function opened(t: TestContext, config: AuditConfig, deps: AuditDeps = depsOf()): Promise<Audit> {
	const audit = await openAudit(config, deps);
	t.after(() => audit.close(0));
	return audit;
}

const researcher = {
	id: 'spiffe://example.org/agents/researcher',
	trustDomain: 'example.org',
	path: '/agents/researcher',
	segments: ['agents', 'researcher'],
	prefixes: ['/agents', '/agents/researcher'],
};

export const conn: Conn = { id: 'c1', identity: identity(researcher, 'mtls'), listener: 'egress', life: new Life() };

export const crm = target({ upstream: 'crm', host: 'crm.internal', port: 443, protocol: 'http', tls: true });

const BUNDLES = [{ name: 'default', revision: 'abc' }];
const READS = ['call.effect', 'http.path'];

export function decision(id: string, more: Partial<DecisionRecord> = {}): DecisionRecord {
	const input: MaskedText = { text: '{"phase":"request"}', masks: [] };
	return {
		decision: { id, allowed: true, reasons: [], observed: false },
		time: START,
		phase: 'request',
		conn,
		target: crm,
		call: {
			protocol: 'http',
			operation: 'GET',
			resource: '/contacts',
			effect: 'read',
			record: { method: 'GET', path: '/contacts' },
		},
		input,
		result: '{"allow":true}',
		bundles: BUNDLES,
		reads: READS,
		micros: 12.5,
		...more,
	};
}

export const denied = (id: string): DecisionRecord =>
	decision(id, { decision: { id, allowed: false, cause: 'no_rule', reasons: [], observed: false } });

/** Resolves as `written` is called: with the refusal's cause, or undefined. */
export const recorded = (audit: Audit, record: DecisionRecord): Promise<string | undefined> =>
	new Promise(resolve => audit.decision(record, refusal => resolve(refusal?.cause)));

export async function segmentsOf(directory: string): Promise<string[]> {
	return (await readdir(directory)).filter(name => name.endsWith('.jsonl')).sort();
}

/** Every line of the directory, in order. */
export async function linesOf(directory: string): Promise<string[]> {
	const lines: string[] = [];
	for (const name of await segmentsOf(directory)) {
		const text = await readFile(join(directory, name), 'utf8');
		lines.push(...text.split('\n').filter(line => line !== ''));
	}
	return lines;
}

/** A record as docs/audit.md describes it, as far as tests look into it. */
export interface ShownRecord {
	readonly type: string;
	readonly seq: number;
	readonly prev: string;
	readonly chain: string;
	readonly timestamp: string;
	readonly instance: string;
	readonly decision_id?: string;
	readonly verdict?: string;
	readonly cause?: string;
	readonly observed?: boolean;
	readonly reasons?: unknown;
	readonly detail?: unknown;
	readonly error?: unknown;
	readonly call: Readonly<Record<string, string>>;
	readonly input?: { readonly h: Readonly<Record<string, string>>; readonly body: string; readonly x: string };
	readonly masked?: readonly string[];
	readonly erased?: readonly string[];
	readonly action?: string;
	readonly operator?: string;
	readonly duration_ms?: number;
	readonly event?: string;
	readonly listener?: string;
	readonly remote?: string;
	readonly claimed?: string;
	readonly count?: number;
	readonly checkpoint?: { readonly final: boolean };
	readonly gap?: {
		readonly reason: string;
		readonly error?: string;
		readonly agent?: string;
		readonly calls?: string;
		readonly lost?: Readonly<Record<string, number>>;
		readonly bytes?: number;
		readonly sha256?: string;
	};
}

export const recordsOf = async (directory: string): Promise<ShownRecord[]> =>
	(await linesOf(directory)).map(line => JSON.parse(line) as ShownRecord);
