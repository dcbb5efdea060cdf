import { hostname } from 'node:os';
import { openAdmin } from './admin/admin.ts';
import type { ReloadOutcome, ReloadProblem } from './admin/api.ts';
import type { NotReady } from './admin/health.ts';
import { readinessOf } from './admin/readiness.ts';
import { type Status, statusOf } from './admin/status.ts';
import { openAudit, signerOf } from './audit/audit.ts';
import { observesAnything } from './config/observe.ts';
import type { Config } from './config/schema.ts';
import { warn } from './config/warnings.ts';
import { parseSpiffeId } from './formats/spiffe-id.ts';
import { CredentialKeeper } from './identity/credentials/keeper.ts';
import { allTaken, logCredential, missingCredentials } from './identity/credentials/report.ts';
import { identityFacts } from './identity/facts.ts';
import { JwtCallers } from './identity/jwt-callers.ts';
import { peerCredentialsFor } from './identity/peer-credentials.ts';
import { logBundle, logRenewal } from './identity/report.ts';
import { openRevocations } from './identity/revocation/revocations.ts';
import { checkRuntime } from './identity/runtime.ts';
import { openIdentity } from './identity/source.ts';
import type { Svid } from './identity/svid.ts';
import { tokenSettingsOf } from './identity/token-settings.ts';
import { TokenKeeper, type Tokens } from './identity/tokens.ts';
import { openResidentMemory } from './kernel/resident-memory.ts';
import { lowerByName } from './kernel/thread-priority.ts';
import { identity as makeIdentity } from './model/agent.ts';
import type { Recorder } from './model/ports.ts';
import type { RefusedConnection } from './model/record.ts';
import { VERSION } from './model/version.ts';
import { Admission } from './policy/admit.ts';
import { InputBuilder } from './policy/input.ts';
import { openReportedPolicy } from './policy/report.ts';
import { Calls } from './proxy/call.ts';
import { CallMetrics } from './proxy/call-metrics.ts';
import { SidecarProxy } from './proxy/proxy.ts';
import { Reloads } from './reload.ts';
import { openSqliteState } from './state/sqlite.ts';
import { createLog, logListening } from './telemetry/log.ts';
import { countRecords, createMetrics, onScrape } from './telemetry/metrics.ts';
import { openTracing } from './telemetry/traces.ts';
import { connectTls } from './transfer/tls-client.ts';

/** A running Sallyport. */
export interface App {
	/** Reads the configuration again; what it holds is in force when this resolves, or `problems` says why not. */
	reload(): Promise<ReloadOutcome>;
	status(): Status;
	/** Drains and stops; resolves when everything is flushed. */
	stop(): Promise<void>;
}

/** How often kept policy bundles that no record names any more are removed, milliseconds. */
const PRUNE_EVERY = 3600_000;

/**
 * What can be done before there is a configuration, which is read in another thread meanwhile. Rejects when this Node
 * cannot be relied on.
 */
export async function readyToStart(environment: NodeJS.ProcessEnv): Promise<typeof startApp> {
	await checkRuntime(environment);
	return startApp;
}

/** The composition root: makes every part, hands them to one another, starts and stops them in order. */
async function startApp(file: string, first: Config, environment: NodeJS.ProcessEnv): Promise<App> {
	let config = first;
	const clock = { now: () => Date.now() };
	const startedAt = clock.now();
	// V8 compiles and collects beside the calls: it may have a sixth where there is not enough for both. With less, garbage waits.
	lowerByName('V8Worker', 7);
	const memory = openResidentMemory();
	const log = createLog(config.log.level);
	const metrics = createMetrics(VERSION, config.telemetry.metrics.agents);
	const reloaded = (part: string, taken: boolean): void => metrics.reloadLastSuccess.set({ part }, taken ? 1 : 0);

	const identity = await openIdentity(config.identity, {
		clock,
		environment,
		report: reload => {
			reloaded('identity', reload.taken);
			logRenewal(log, reload);
		},
		bundle: news => logBundle(log, news),
		connection: (connected, problem) => {
			if (connected) log.info('the Workload API is connected');
			else log.warn({ problem }, 'the Workload API is not connected; it is tried again');
		},
	});
	onScrape(metrics.reloadLastSuccess, () => {
		const others = identity.status().bundles.filter(({ trustDomain }) => trustDomain !== config.identity.trust_domain);
		const taken = others.every(({ problem }) => problem === undefined);
		if (others.length > 0) reloaded('trust_bundles', taken);
	});
	reloaded('identity', true);

	const keeper = new CredentialKeeper({
		clock,
		environment,
		jwtSvid: audience => identity.jwtSvid(audience),
		report: news => logCredential(log, news),
	});
	keeper.renewIdentity(identity.current()?.spiffeId.id);
	// Known before there is an SVID, and the same after: which id was in force when is said by `control` records.
	const instance = `${hostname()}/${config.identity.trust_domain}`;
	const tracing = await openTracing(config.telemetry.traces, {
		connect: connectTls,
		credentials: keeper,
		instance,
		metrics,
		log,
	});
	const written = countRecords(metrics);
	const audit = await openAudit(config.audit, {
		labels: config.labels,
		instance,
		clock,
		signer: signerOf(() => identity.current()),
		metrics: {
			written,
			lost: (_type, count) => metrics.unrecorded.inc(count),
			failure: reason => metrics.auditFailures.inc({ reason }),
			oldestUnsent: (sink, time) => metrics.oldestUnsent.set({ sink }, (time ?? 0) / 1000),
			refused: (sink, count) => metrics.sinkRefused.inc({ sink }, count),
		},
		credentials: keeper,
		svid: () => identity.clientTlsOptions(),
		log: (level, message, fields) => log[level](fields ?? {}, message),
	});
	const control = (action: string, operator: string, detail?: Readonly<Record<string, unknown>>): void =>
		audit.control({ action, operator, ...(detail === undefined ? {} : { detail }) });
	control('start', 'sallyport', { version: VERSION, config: file });
	/** Of listeners and of the control API: counted where they are recorded. */
	const refusedConnection = (record: RefusedConnection): void => {
		metrics.refusedConnections.inc({ listener: record.listener, cause: record.cause });
		audit.refusedConnection(record);
	};
	const recorder: Pick<Recorder, 'control' | 'refusedConnection'> = {
		control: (record, written) => audit.control(record, written),
		refusedConnection,
	};

	// In force before the first listener opens.
	const state = openSqliteState(config.state.sqlite);
	const revocations = await openRevocations(config.identity.revocations, { state, clock, recorder, metrics, log });

	const { policy, reports } = await openReportedPolicy(config.policy, {
		environment,
		clock,
		access: { bearer: secret => keeper.bearer(secret), client: () => identity.clientTlsOptions() },
		log,
		metrics,
		control,
		reloaded,
		labels: config.labels,
		instance,
	});
	metrics.observe.set(observesAnything(config) ? 1 : 0);

	let credentials = await keeper.open(config);
	onScrape(metrics.credentialValid, () => {
		const all = credentials.status();
		metrics.credentialValid.reset();
		for (const { upstream, credential, valid } of all)
			metrics.credentialValid.set({ upstream, credential }, valid ? 1 : 0);
		if (all.length > 0) reloaded('credentials', allTaken(all));
	});
	const tokenKeeper = new TokenKeeper({
		clock,
		revoked: token => revocations.revokedToken(token),
		report: broken => log.error({ broken }, 'tokens could not be renewed'),
	});
	let tokens = await tokenKeeper.open(tokenSettingsOf(config));
	const calls = new Calls({
		policy,
		input: new InputBuilder(config.labels),
		admission: new Admission({ clock, revocations }),
		recorder: audit,
		metrics: new CallMetrics(metrics),
		clock,
		tracing,
	});
	onScrape(metrics.callsOpen, () => metrics.callsOpen.set(calls.open));
	onScrape(metrics.spoolBytes, () => metrics.spoolBytes.set(audit.status().bytes));
	metrics.spoolLimit.set(config.audit.limit);
	onScrape(metrics.writable, () => metrics.writable.set(audit.unwritable === undefined ? 1 : 0));
	let peerCredentials = await peerCredentialsFor(config, undefined);
	const proxy = new SidecarProxy({
		identity: {
			problem: () => identity.problem(),
			serverTlsOptions: listener => identity.serverTlsOptions(listener),
			identifyTls: socket => identity.identifyTls(socket),
			ownId: () => identity.ownId(),
			trustAnchors: () => identity.trustAnchors(),
			clientTlsOptions: () => identity.clientTlsOptions(),
			judgeUpstream: (socket, expected, bundle) => identity.judgeUpstream(socket, expected, bundle),
		},
		revocations,
		token: listener => {
			const listed = tokens.forListener(listener);
			return listed === undefined ? undefined : (username, password) => listed.identify(username, password);
		},
		agentOf: (id, way, user) => {
			const parsed = parseSpiffeId(id);
			if ('broken' in parsed) throw new Error(`${id}: ${parsed.broken}`);
			return makeIdentity(parsed, way, user === undefined ? {} : { user });
		},
		userOf: socket => peerCredentials?.(socket)?.uid,
		jwtSvid: audience => {
			const callers = new JwtCallers(audience, {
				authorities: trustDomain => identity.jwtAuthorities(trustDomain),
				when: () => ({ now: clock.now(), skew: config.identity.clock_skew }),
			});
			return token => callers.identify(token);
		},
		calls,
		clock,
		recorder,
		metrics,
		otherSockets: () => admin.sockets(),
		failed: error => log.error({ error: String(error) }, 'a connection did not end as it should'),
		threads: Number(environment['UV_THREADPOOL_SIZE']) || 4,
	});

	revocations.enforceBy(() => {
		void tokenKeeper.renew();
		return proxy.revoke();
	});

	let draining = false;
	const readiness = (): readonly NotReady[] =>
		readinessOf({
			draining,
			identity: identity.problem(),
			revocations: revocations.unknown(),
			policy: policy.current() !== undefined,
			audit: config.audit.on_failure === 'deny' ? audit.unwritable : undefined,
		});
	const warnOf = (config: Config): void => warn(config, (path, message) => log.warn({ path: path.join('.') }, message));
	const status = (): Status =>
		statusOf({
			config: file,
			started: startedAt,
			notReady: readiness(),
			degraded: missingCredentials(credentials.status()),
			credentials: credentials.status(),
			draining,
			identity: identity.status(),
			policy: policy.status(),
			reports: reports?.status(),
			mode: config.policy.mode,
			listeners: proxy.listeners(),
			retired: proxy.retired,
			callsOpen: calls.open,
			audit: audit.status(),
			revocations: revocations.status(),
			configProblems: reloads.problems,
			restart: reloads.restart,
		});

	let announced: ReadonlySet<string> = new Set();
	const announce = (): void => {
		announced = logListening(log, proxy.listeners(), announced);
	};
	/** Puts a configuration into force, or leaves everything as it was and rejects. */
	const apply = async (next: Config): Promise<void> => {
		const held = await keeper.open(next);
		let listed: Tokens | undefined;
		const before = tokens;
		try {
			listed = await tokenKeeper.open(tokenSettingsOf(next));
			tokens = listed;
			peerCredentials = await peerCredentialsFor(next, peerCredentials);
			await proxy.configure(next, held);
		} catch (error) {
			tokens = before;
			listed?.close();
			held.close();
			throw error;
		}
		before.close();
		announce();
		config = next;
		credentials = held;
		warnOf(config);
		metrics.observe.set(observesAnything(config) ? 1 : 0);
	};
	const brokenOf = (part: string, found: { readonly broken: string } | undefined): ReloadProblem[] =>
		found === undefined ? [] : [{ part, message: found.broken }];
	const reloads = new Reloads({
		file,
		environment,
		log,
		parts: [
			async () => brokenOf('identity', await identity.reload()),
			async () => {
				const outcome = await policy.reload();
				return outcome.ok ? [] : outcome.problems.map(problem => ({ part: 'policy', ...problem }));
			},
			async () => brokenOf('revocations', await revocations.reload()),
		],
		config: () => config,
		apply,
		taken: yes => reloaded('config', yes),
		over: () => memory.settleWhenIdle(),
	});

	const admin = await openAdmin(config.admin, {
		identity,
		registry: metrics.registry,
		recorder,
		revocations,
		clock,
		readiness,
		degraded: () => missingCredentials(credentials.status()),
		status,
		reload: () => reloads.reload(),
		log,
	});
	const identified = (svid: Svid | undefined): void => {
		metrics.svidNotAfter.set((svid?.notAfter ?? 0) / 1000);
		control('identity', 'sallyport', identityFacts(svid, identity.problem()));
		keeper.renewIdentity(svid?.spiffeId.id);
		proxy.renewIdentity();
	};
	identity.onChange(identified);
	// It may have changed since it was opened.
	identified(identity.current());
	policy.onChange(() => {
		proxy.judgeAgain();
		memory.settleWhenIdle();
	});
	const pruning = setInterval(() => void policy.prune(audit.status().oldest), PRUNE_EVERY);
	pruning.unref();
	// A reload that is asked for already waits for the first configuration.
	warnOf(config);
	const configured = proxy.configure(config, credentials);
	reloads.after(configured);
	await configured;
	reloaded('config', true);
	announce();
	globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
	memory.settle();
	log.info({ version: VERSION, id: identity.ownId(), ready: readiness().length === 0 }, 'sallyport is up');

	const stop = async (): Promise<void> => {
		if (draining) return;
		draining = true;
		log.info({ open: calls.open }, 'draining');
		await proxy.drain(config.drain_timeout);
		await proxy.close('draining');
		control('stop', 'sallyport');
		await audit.close();
		await tracing?.close();
		await admin.close();
		clearInterval(pruning);
		tokenKeeper.close();
		policy.close();
		reports?.close();
		keeper.close();
		revocations.close();
		state.close();
		identity.close();
		memory.close();
		log.info('stopped');
	};
	return { reload: () => reloads.reload(), status, stop };
}
