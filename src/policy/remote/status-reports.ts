import type { Clock } from '../../model/ports.ts';
import { VERSION } from '../../model/version.ts';
import { printProblem } from '../problem.ts';
import type { PolicyStatus } from '../status.ts';
import { Server, type ServerAccess, type ServerConfig } from './server.ts';

export interface ReportsConfig extends ServerConfig {
	/** Milliseconds. */
	readonly interval?: number | undefined;
}

export interface ReportsDeps {
	readonly clock: Clock;
	readonly access: ServerAccess;
	/** Of the configuration. */
	readonly labels: Readonly<Record<string, string>>;
	/** As in records. */
	readonly instance: string;
	status(): PolicyStatus;
	/** Told when the server begins to fail, and when it is mended (undefined). */
	problem(problem: string | undefined): void;
}

/** How the reports go. Times are milliseconds since the epoch. */
export interface ReportsStatus {
	readonly url: string;
	readonly lastSuccess?: number;
	readonly problem?: string;
}

const INTERVAL = 300_000;
/** What changes together is reported together. */
const GATHER = 100;
const FIRST_RETRY = 1_000;
const MAX_ANSWER = 1024 * 1024;

/** Sends the status of the policy bundles, in the form of OPA's status API, when it changes and from time to time. */
export class StatusReports {
	readonly #config: ReportsConfig;
	readonly #deps: ReportsDeps;
	readonly #server: Server;
	readonly #stop = new AbortController();
	#timer: NodeJS.Timeout | undefined;
	#sending = false;
	#again = false;
	#retry = FIRST_RETRY;
	#started = false;
	#lastSuccess: number | undefined;
	#problem: string | undefined;

	constructor(config: ReportsConfig, deps: ReportsDeps) {
		this.#config = config;
		this.#deps = deps;
		this.#server = new Server(config, deps.access);
	}

	/** The first report is on its way when it resolves; nothing waits for it. */
	async start(): Promise<void> {
		await this.#server.open();
		this.#started = true;
		this.changed();
	}

	/** There is something new to report. */
	changed(): void {
		if (!this.#started || this.#stop.signal.aborted) return;
		if (this.#sending) this.#again = true;
		else this.#after(GATHER);
	}

	status(): ReportsStatus {
		return {
			url: this.#config.url,
			...(this.#lastSuccess === undefined ? {} : { lastSuccess: this.#lastSuccess }),
			...(this.#problem === undefined ? {} : { problem: this.#problem }),
		};
	}

	close(): void {
		this.#stop.abort();
		clearTimeout(this.#timer);
	}

	#after(pause: number): void {
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => void this.#send(), pause);
		this.#timer.unref();
	}

	async #send(): Promise<void> {
		this.#sending = true;
		this.#again = false;
		const json = JSON.stringify(reportOf(this.#deps));
		const sent = await this.#server.fetch({
			accept: '*/*',
			maxBytes: MAX_ANSWER,
			json,
			signal: this.#stop.signal,
		});
		this.#sending = false;
		if (this.#stop.signal.aborted) return;
		const problem = sent === 'unchanged' ? 'the server answers 304' : 'broken' in sent ? sent.broken : undefined;
		if (problem !== this.#problem) this.#deps.problem(problem);
		this.#problem = problem;
		const { interval = INTERVAL } = this.#config;
		if (problem === undefined) {
			this.#lastSuccess = this.#deps.clock.now();
			this.#retry = FIRST_RETRY;
			this.#after(this.#again ? GATHER : spread(interval));
		} else {
			this.#after(Math.min(spread(this.#retry), spread(interval)));
			this.#retry = Math.min(this.#retry * 2, interval);
		}
	}
}

/** A fifth shorter or longer: a fleet does not come at once. */
const spread = (pause: number): number => pause * (0.8 + 0.4 * Math.random());

/** The body of a report (openpolicyagent.org, "Status"). */
function reportOf({ labels, instance, status }: ReportsDeps): unknown {
	const { bundles, downloads, problems, revision } = status();
	const names = new Set([...bundles, ...downloads].map(({ name }) => name));
	const of = (name: string): unknown => {
		const inForce = bundles.find(bundle => bundle.name === name);
		const remote = downloads.find(download => download.name === name);
		// One that is good may still wait for the others.
		const broken = remote?.problem ?? (remote === undefined ? problems?.map(printProblem).join('; ') : undefined);
		return {
			name,
			type: 'snapshot',
			...(inForce === undefined ? {} : { active_revision: inForce.revision }),
			...at('last_successful_activation', remote?.lastActivation ?? inForce?.activated),
			...at('last_successful_download', remote?.lastDownload),
			...at('last_successful_request', remote?.lastSuccess),
			...at('last_request', remote?.lastRequest),
			...(remote?.size === undefined ? {} : { size: remote.size }),
			...(broken === undefined ? {} : { code: 'bundle_error', message: broken }),
		};
	};
	return {
		labels: { ...labels, id: instance, version: VERSION },
		bundles: Object.fromEntries([...names].map(name => [name, of(name)])),
		plugins: { bundle: { state: revision === undefined ? 'NOT_READY' : 'OK' }, status: { state: 'OK' } },
	};
}

const at = (key: string, time: number | undefined): Readonly<Record<string, string>> =>
	time === undefined ? {} : { [key]: new Date(time).toISOString() };
