import { hostname } from 'node:os';
import { openAdmin } from './admin/admin.ts';
import type { ReloadOutcome, ReloadProblem } from './admin/api.ts';
import { type Status, statusOf } from './admin/status.ts';
import { openAudit, type SigningKey, signingKey } from './audit/audit.ts';
import { loadConfig, type Problem } from './config/load.ts';
import type { Config } from './config/schema.ts';
import { parseSpiffeId } from './formats/spiffe-id.ts';
import { checkRuntime } from './identity/runtime.ts';
import { openIdentity } from './identity/source.ts';
import type { Svid } from './identity/svid.ts';
import { openTokens, type TokenSettings } from './identity/tokens.ts';
import { identity as makeIdentity } from './model/agent.ts';
import { RECORD_TYPES, type RecordType } from './model/record.ts';
import { VERSION } from './model/version.ts';
import { Admission } from './policy/admit.ts';
import { InputBuilder } from './policy/input.ts';
import { printProblem } from './policy/problem.ts';
import { openPolicy } from './policy/source.ts';
import { Calls } from './proxy/call.ts';
import { CallMetrics } from './proxy/call-metrics.ts';
import { SidecarProxy } from './proxy/proxy.ts';
import { createLog } from './telemetry/log.ts';
import { createMetrics, onScrape } from './telemetry/metrics.ts';

/** A running Sallyport. */
export interface App {
	/** Reads the configuration again; what it holds is in force when this resolves, or `problems` says why not. */
	reload(): Promise<ReloadOutcome>;
	status(): Status;
	/** Drains and stops; resolves when everything is flushed. */
	stop(): Promise<void>;
}

/** What a reload cannot change under open sockets and files. */
const FIXED = ['labels', 'identity', 'audit', 'admin', 'log'] as const;

const NOTHING_WRITTEN: Readonly<Record<RecordType, number>> = {
	decision: 0,
	outcome: 0,
	session: 0,
	control: 0,
	checkpoint: 0,
	gap: 0,
};

/** How often kept policy bundles that no record names any more are removed, milliseconds. */
const PRUNE_EVERY = 3600_000;

/** The composition root: makes every part, hands them to one another, starts and stops them in order. */
export async function startApp(file: string, first: Config, environment: NodeJS.ProcessEnv): Promise<App> {
	let config = first;
	const clock = { now: () => Date.now() };
	const startedAt = clock.now();
	const log = createLog(config.log.level);
	const metrics = createMetrics(VERSION);
	const reloaded = (part: string, taken: boolean): void => metrics.reloadLastSuccess.set({ part }, taken ? 1 : 0);
	await checkRuntime(environment);

	const identity = await openIdentity(config.identity, {
		clock,
		report: reload => {
			reloaded('identity', reload.taken);
			if (reload.taken) log.info({ not_after: new Date(reload.svid.notAfter).toISOString() }, 'the SVID was renewed');
			else log.error({ broken: reload.broken }, 'the SVID on disk was not taken; the one before stays in force');
		},
	});
	const showSvid = (svid: Svid): void => metrics.svidNotAfter.set(svid.notAfter / 1000);
	showSvid(identity.current());
	reloaded('identity', true);

	const written = { ...NOTHING_WRITTEN };
	onScrape(metrics.records, () => {
		for (const type of RECORD_TYPES) metrics.records.inc({ type }, written[type]);
		Object.assign(written, NOTHING_WRITTEN);
	});
	const audit = await openAudit(config.audit, {
		labels: config.labels,
		instance: `${hostname()}/${identity.current().spiffeId.id}`,
		clock,
		signer: signerOf(() => identity.current()),
		metrics: {
			written: (type, count) => {
				written[type] += count;
			},
			lost: (_type, count) => metrics.unrecorded.inc(count),
			failure: reason => metrics.auditFailures.inc({ reason }),
			oldestUnsent: (sink, time) => metrics.oldestUnsent.set({ sink }, (time ?? 0) / 1000),
		},
		log: (level, message, fields) => log[level](fields ?? {}, message),
	});
	const control = (action: string, operator: string, detail?: Readonly<Record<string, unknown>>): void =>
		audit.control({ action, operator, ...(detail === undefined ? {} : { detail }) });
	control('start', 'sallyport', { version: VERSION, config: file });

	let policyInForce = (): boolean => false;
	const policy = await openPolicy(config.policy, {
		environment,
		clock,
		events: {
			activated: (set, _status, took) => {
				reloaded('policy', true);
				metrics.policyInfo.reset();
				for (const { name, revision } of set.bundles) metrics.policyInfo.set({ bundle: name, revision }, 1);
				log.info({ bundles: set.bundles, took }, 'policy is in force');
				control('policy', 'sallyport', { bundles: set.bundles });
			},
			confirmed: () => reloaded('policy', true),
			failed: problems => {
				reloaded('policy', false);
				log.error(
					{ problems: problems.map(printProblem) },
					policyInForce()
						? 'the new policy was not taken; the one before stays in force'
						: 'there is no policy: every call is refused',
				);
			},
		},
	});
	policyInForce = () => policy.current() !== undefined;
	metrics.observe.set(config.policy.mode === 'observe' ? 1 : 0);

	let tokens = await openTokens(tokenSettings(config), {
		clock,
		report: broken => log.error({ broken }, 'tokens could not be renewed'),
	});
	const calls = new Calls({
		policy,
		input: new InputBuilder(config.labels),
		admission: new Admission({ clock }),
		recorder: audit,
		metrics: new CallMetrics(metrics),
		clock,
	});
	onScrape(metrics.callsOpen, () => metrics.callsOpen.set(calls.open));
	onScrape(metrics.spoolBytes, () => metrics.spoolBytes.set(audit.status().bytes));
	const proxy = new SidecarProxy({
		identity: {
			serverTlsOptions: listener => identity.serverTlsOptions(listener),
			identifyTls: socket => identity.identifyTls(socket),
			ownId: () => identity.current().spiffeId.id,
			trustAnchors: () => identity.trustAnchors(),
			clientTlsOptions: () => identity.clientTlsOptions(),
			judgeUpstream: (socket, expected, pem) => identity.judgeUpstream(socket, expected, pem),
		},
		token: listener => {
			const listed = tokens.forListener(listener);
			return listed === undefined ? undefined : (username, password) => listed.identify(username, password);
		},
		agentOf: id => {
			const parsed = parseSpiffeId(id);
			if ('broken' in parsed) throw new Error(`${id}: ${parsed.broken}`);
			return makeIdentity(parsed, 'as');
		},
		calls,
		clock,
		recorder: audit,
		metrics,
		otherSockets: () => admin.sockets(),
	});

	let draining = false;
	const readiness = (): readonly { readonly part: string; readonly reason: string }[] => {
		const missing: { part: string; reason: string }[] = [];
		if (draining) missing.push({ part: 'proxy', reason: 'draining' });
		if (identity.current().notAfter <= clock.now()) missing.push({ part: 'identity', reason: 'the SVID has expired' });
		if (policy.current() === undefined)
			// Agents can read this: what is wrong with the policy is for `status`.
			missing.push({ part: 'policy', reason: 'no policy was ever in force; `sallyport status` says why' });
		if (audit.unwritable !== undefined && config.audit.on_failure === 'deny')
			missing.push({ part: 'audit', reason: audit.unwritable });
		return missing;
	};
	let reloadProblems: readonly Problem[] = [];
	let waiting: readonly string[] = [];
	const status = (): Status =>
		statusOf({
			config: file,
			started: startedAt,
			notReady: readiness(),
			draining,
			svid: identity.current(),
			identityReload: identity.lastReload(),
			policy: policy.status(),
			mode: config.policy.mode,
			listeners: proxy.listeners(),
			callsOpen: calls.open,
			audit: audit.status(),
			configProblems: reloadProblems,
			restart: waiting,
		});

	let announced = new Set<string>();
	const announce = (): void => {
		const listening = proxy.listeners();
		for (const { name, address } of listening)
			if (!announced.has(`${name} ${address}`)) log.info({ listener: name, address }, 'listening');
		announced = new Set(listening.map(({ name, address }) => `${name} ${address}`));
	};
	const reloadNow = async (): Promise<ReloadOutcome> => {
		const identityNow = await identity.reload();
		const policyNow = await policy.reload();
		const others: ReloadProblem[] = [
			...(identityNow === undefined ? [] : [{ part: 'identity', message: identityNow.broken }]),
			...(policyNow.ok ? [] : policyNow.problems.map(problem => ({ part: 'policy', ...problem }))),
		];
		const outcome = (problems: readonly Problem[]): ReloadOutcome => ({
			problems: [...problems.map(problem => ({ part: 'config', file, ...problem })), ...others],
			restart: waiting,
		});
		const loaded = loadConfig(file, environment);
		if ('problems' in loaded) {
			reloadProblems = loaded.problems;
			reloaded('config', false);
			log.error({ problems: loaded.problems }, 'the configuration was not taken; the one before stays in force');
			return outcome(loaded.problems);
		}
		const next = loaded.config;
		const restart = FIXED.filter(
			section => JSON.stringify(next[section]) !== JSON.stringify(config[section]),
		) as string[];
		if (JSON.stringify({ ...next.policy, mode: '' }) !== JSON.stringify({ ...config.policy, mode: '' }))
			restart.push('policy');
		const fixed = Object.fromEntries(FIXED.map(section => [section, config[section]]));
		const effective: Config = Object.freeze({
			...next,
			...fixed,
			policy: { ...config.policy, mode: next.policy.mode },
		});
		const before = tokens;
		try {
			tokens = await openTokens(tokenSettings(effective), {
				clock,
				report: broken => log.error({ broken }, 'tokens could not be renewed'),
			});
			await proxy.configure(effective);
		} catch (error) {
			if (tokens !== before) tokens.close();
			tokens = before;
			reloadProblems = [{ line: 0, column: 0, path: '', message: (error as Error).message }];
			reloaded('config', false);
			log.error({ problems: reloadProblems }, 'the configuration was not taken; the one before stays in force');
			return outcome(reloadProblems);
		}
		before.close();
		announce();
		config = effective;
		reloadProblems = [];
		waiting = restart;
		reloaded('config', true);
		metrics.observe.set(config.policy.mode === 'observe' ? 1 : 0);
		log.info(
			{ restart },
			restart.length === 0
				? 'the configuration was read again'
				: 'the configuration was read again; some sections need a restart',
		);
		return outcome([]);
	};
	// One after the other: by signal and by the control API they may come at once.
	let reloading: Promise<unknown> = Promise.resolve();
	const reload = (): Promise<ReloadOutcome> => {
		const turn = reloading.then(reloadNow);
		reloading = turn.catch(() => {});
		return turn;
	};

	const admin = await openAdmin(config.admin, {
		identity,
		registry: metrics.registry,
		recorder: audit,
		readiness,
		status,
		reload,
		log,
	});
	identity.onChange(svid => {
		showSvid(svid);
		proxy.renewIdentity();
	});
	policy.onChange(() => proxy.judgeAgain());
	const pruning = setInterval(() => void policy.prune(audit.status().oldest), PRUNE_EVERY);
	pruning.unref();
	await proxy.configure(config);
	reloaded('config', true);
	announce();
	log.info(
		{ version: VERSION, id: identity.current().spiffeId.id, ready: readiness().length === 0 },
		'sallyport is up',
	);

	const stop = async (): Promise<void> => {
		if (draining) return;
		draining = true;
		log.info({ open: calls.open }, 'draining');
		await proxy.drain(config.drain_timeout);
		await proxy.close('draining');
		control('stop', 'sallyport');
		await audit.close();
		await admin.close();
		clearInterval(pruning);
		tokens.close();
		policy.close();
		identity.close();
		log.info('stopped');
	};
	return { reload, status, stop };
}

const tokenSettings = (config: Config): TokenSettings[] =>
	config.listeners.flatMap(({ name, authenticate }) =>
		typeof authenticate === 'object' && 'token' in authenticate ? [{ listener: name, ...authenticate.token }] : [],
	);

/** What signs checkpoints: the SVID's key, opened once per SVID. */
function signerOf(current: () => Svid): () => SigningKey {
	let made: { readonly revision: string; readonly key: SigningKey } | undefined;
	return () => {
		const svid = current();
		if (made?.revision !== svid.revision)
			made = { revision: svid.revision, key: signingKey(svid.key, svid.certificate) };
		return made.key;
	};
}
