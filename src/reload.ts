import type { ReloadOutcome, ReloadProblem } from './admin/api.ts';
import { loadConfigApart } from './config/load-apart.ts';
import type { Problem } from './config/loaded.ts';
import type { Config } from './config/schema.ts';
import type { Log } from './telemetry/log.ts';

/** What a reload cannot change under open sockets and files. */
const FIXED = ['labels', 'identity', 'audit', 'admin', 'state', 'telemetry', 'log'] as const;

/** What reads its own files; resolves with why what is there was not taken. */
type Part = () => Promise<readonly ReloadProblem[]>;

export interface ReloadDeps {
	readonly file: string;
	readonly environment: NodeJS.ProcessEnv;
	readonly log: Log;
	/** In the order in which they are read. */
	readonly parts: readonly Part[];
	/** The configuration in force. */
	config(): Config;
	/** Puts a configuration into force. Rejects, and leaves everything as it was, when something of it is not to be had. */
	apply(config: Config): Promise<void>;
	/** Told of each reload whether the configuration was taken. */
	taken(yes: boolean): void;
	/** Told behind each reload. */
	over(): void;
}

/** Reads everything again that may have changed, one reload after the other: by signal and by the control API they may come at once. */
export class Reloads {
	readonly #deps: ReloadDeps;
	#problems: readonly Problem[] = [];
	#restart: readonly string[] = [];
	#turn: Promise<unknown> = Promise.resolve();

	constructor(deps: ReloadDeps) {
		this.#deps = deps;
	}

	/** A reload that is asked for from here on waits for this: the first configuration is put into force. */
	after(started: Promise<unknown>): void {
		this.#turn = started.catch(() => {});
	}

	/** What was wrong with the configuration when it was read last. */
	get problems(): readonly Problem[] {
		return this.#problems;
	}

	/** Sections that differ from those in force and need a restart. */
	get restart(): readonly string[] {
		return this.#restart;
	}

	/** Never rejects. */
	reload(): Promise<ReloadOutcome> {
		const turn = this.#turn.then(() => this.#now()).finally(() => this.#deps.over());
		this.#turn = turn.catch(() => {});
		return turn;
	}

	async #now(): Promise<ReloadOutcome> {
		const { file, log, parts } = this.#deps;
		const others: ReloadProblem[] = [];
		let problems: readonly Problem[];
		try {
			for (const part of parts) others.push(...(await part()));
			problems = await this.#readConfig();
		} catch (error) {
			problems = [whole(error)];
		}
		const shown = problems.map(problem => ({ file, ...problem }));
		const taken = problems.length === 0;
		this.#problems = problems;
		this.#deps.taken(taken);
		const restart = this.#restart;
		if (!taken) log.error({ problems: shown }, 'the configuration was not taken; the one before stays in force');
		else if (restart.length === 0) log.info({ restart }, 'the configuration was read again');
		else log.info({ restart }, 'the configuration was read again; some sections need a restart');
		return { problems: [...shown.map(problem => ({ part: 'config', ...problem })), ...others], restart };
	}

	/** Puts into force what may change; resolves with why not. */
	async #readConfig(): Promise<readonly Problem[]> {
		const { file, environment } = this.#deps;
		const loaded = await loadConfigApart(file, environment);
		if ('problems' in loaded) return loaded.problems;
		const next = loaded.config;
		const config = this.#deps.config();
		const restart: string[] = FIXED.filter(
			section => JSON.stringify(next[section]) !== JSON.stringify(config[section]),
		);
		if (JSON.stringify({ ...next.policy, mode: '' }) !== JSON.stringify({ ...config.policy, mode: '' }))
			restart.push('policy');
		// What would keep a restart from starting is said now, and not then.
		const lost = loaded.missing.filter(
			({ path }) => restart.some(section => path.startsWith(section)) || path.startsWith('upstreams'),
		);
		if (lost.length > 0) return lost;
		const fixed = Object.fromEntries(FIXED.map(section => [section, config[section]]));
		await this.#deps.apply(Object.freeze({ ...next, ...fixed, policy: { ...config.policy, mode: next.policy.mode } }));
		this.#restart = restart;
		return [];
	}
}

/** What is not wrong in one place. */
const whole = (error: unknown): Problem => ({
	line: 0,
	column: 0,
	path: '',
	message: error instanceof Error ? error.message : String(error),
});
