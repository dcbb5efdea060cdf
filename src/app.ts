import { createPrivateKey, X509Certificate } from 'node:crypto';
import { hostname } from 'node:os';
import { openAdmin } from './admin/admin.ts';
import { openAudit } from './audit/audit.ts';
import { loadConfig, type Problem } from './config/load.ts';
import type { Config } from './config/schema.ts';
import { parseSpiffeId } from './formats/spiffe-id.ts';
import { checkRuntime } from './identity/runtime.ts';
import { openIdentity } from './identity/source.ts';
import type { Svid } from './identity/svid.ts';
import { openTokens, type TokenSettings } from './identity/tokens.ts';
import { readPemCertificates, trustBundle } from './identity/trust.ts';
import { identity as makeIdentity } from './model/agent.ts';
import { type Refused, refused } from './model/cause.ts';
import { VERSION } from './model/version.ts';
import { Admission } from './policy/admit.ts';
import { InputBuilder } from './policy/input.ts';
import { printProblem } from './policy/problem.ts';
import { openPolicy } from './policy/source.ts';
import { Calls } from './proxy/call.ts';
import { CallMetrics } from './proxy/call-metrics.ts';
import { SidecarProxy } from './proxy/proxy.ts';
import { createLog } from './telemetry/log.ts';
import { createMetrics } from './telemetry/metrics.ts';

/** A running Sallyport. */
export interface App {
	/** Reads the configuration again; what it holds is in force when this resolves, or `problems` says why not. */
	reload(): Promise<ReloadResult>;
	status(): object;
	/** Drains and stops; resolves when everything is flushed. */
	stop(): Promise<void>;
}

export interface ReloadResult {
	readonly problems: readonly Problem[];
	/** Sections that changed and need a restart. */
	readonly restart: readonly string[];
}

/** What a reload cannot change under open sockets and files. */
const FIXED = ['labels', 'identity', 'audit', 'admin', 'log'] as const;

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

	const audit = await openAudit(config.audit, {
		labels: config.labels,
		instance: `${hostname()}/${identity.current().spiffeId.id}`,
		clock,
		signer: signerOf(() => identity.current()),
		metrics: {
			spoolBytes: bytes => metrics.spoolBytes.set(bytes),
			written: () => {},
			lost: (_type, count) => metrics.unrecorded.inc(count),
			failure: () => {},
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
		count: open => metrics.callsOpen.set(open),
	});
	const proxy = new SidecarProxy({
		identity: {
			serverTlsOptions: listener => identity.serverTlsOptions(listener),
			secureContextOptions: listener => identity.secureContextOptions(listener),
			identifyTls: socket => identity.identifyTls(socket),
			ownId: () => identity.current().spiffeId.id,
			trustAnchors: () => identity.trustAnchors(),
			clientTlsOptions: () => identity.clientTlsOptions(),
			judgeUpstream: (socket, expected, pem) => {
				const bundle = pem === undefined ? undefined : bundleOf(expected, pem);
				if (bundle !== undefined && 'cause' in bundle) return bundle;
				const judged = identity.judgeUpstream(socket, expected, bundle);
				return 'cause' in judged ? judged : undefined;
			},
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
			missing.push({
				part: 'policy',
				reason: policy.status().problems?.map(printProblem).join('; ') ?? 'no policy was ever in force',
			});
		if (audit.unwritable !== undefined && config.audit.on_failure === 'deny')
			missing.push({ part: 'audit', reason: audit.unwritable });
		return missing;
	};
	const status = (): object => {
		const svid = identity.current();
		const last = identity.lastReload();
		return {
			version: VERSION,
			config: file,
			started: new Date(startedAt).toISOString(),
			ready: readiness().length === 0,
			not_ready: readiness(),
			mode: config.policy.mode,
			identity: {
				id: svid.spiffeId.id,
				serial: svid.serial,
				not_after: new Date(svid.notAfter).toISOString(),
				trust_domains: [...svid.trustBundles.keys()],
				...(last !== undefined && !last.taken ? { problem: last.broken } : {}),
			},
			policy: policy.status(),
			listeners: proxy.listeners(),
			calls_open: calls.open,
			audit: audit.status(),
			...(reloadProblems.length === 0 ? {} : { config_problems: reloadProblems }),
		};
	};

	let announced = new Set<string>();
	const announce = (): void => {
		const listening = proxy.listeners();
		for (const { name, address } of listening)
			if (!announced.has(`${name} ${address}`)) log.info({ listener: name, address }, 'listening');
		announced = new Set(listening.map(({ name, address }) => `${name} ${address}`));
	};
	let reloadProblems: readonly Problem[] = [];
	const reload = async (): Promise<ReloadResult> => {
		await identity.reload();
		await policy.reload();
		const loaded = loadConfig(file, environment);
		if ('problems' in loaded) {
			reloadProblems = loaded.problems;
			reloaded('config', false);
			log.error({ problems: loaded.problems }, 'the configuration was not taken; the one before stays in force');
			return { problems: loaded.problems, restart: [] };
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
			return { problems: reloadProblems, restart: [] };
		}
		before.close();
		announce();
		config = effective;
		reloadProblems = [];
		reloaded('config', true);
		metrics.observe.set(config.policy.mode === 'observe' ? 1 : 0);
		log.info(
			{ restart },
			restart.length === 0
				? 'the configuration was read again'
				: 'the configuration was read again; some sections need a restart',
		);
		return { problems: [], restart };
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
		await audit.flush();
		await audit.close();
		await admin.close();
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
function signerOf(current: () => Svid) {
	let made:
		| {
				readonly revision: string;
				readonly key: ReturnType<typeof createPrivateKey>;
				readonly certificates: readonly Uint8Array[];
		  }
		| undefined;
	return () => {
		const svid = current();
		if (made?.revision !== svid.revision) {
			const certificates = svid.certificate.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
			made = {
				revision: svid.revision,
				key: createPrivateKey(svid.key),
				certificates: certificates.map(pem => new X509Certificate(pem).raw),
			};
		}
		return made;
	};
}

/** The trust bundle that an upstream names, for the trust domain of the id that it must show. */
function bundleOf(expected: string, pem: string) {
	const id = parseSpiffeId(expected);
	const anchors = readPemCertificates(pem);
	if ('broken' in id) return refused('upstream_tls', id.broken) satisfies Refused;
	if ('broken' in anchors) return refused('upstream_tls', anchors.broken);
	const bundle = trustBundle(id.trustDomain, anchors);
	return 'broken' in bundle ? refused('upstream_tls', bundle.broken) : bundle;
}
