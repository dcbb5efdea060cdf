import { Command } from 'commander';
import { loadConfigApart } from '../config/load-apart.ts';
import { problemText } from '../config/loaded.ts';
import type { Config } from '../config/schema.ts';
import { watchFiles } from '../config/watch.ts';
import { createLog } from '../telemetry/log.ts';
import { example } from './terminal.ts';

/** What `run` starts; handed down by main.ts, since nothing below the composition root may know it. */
export interface Sidecar {
	reload(): Promise<unknown>;
	stop(): Promise<void>;
}

export type StartSidecar = (file: string, config: Config, environment: NodeJS.ProcessEnv) => Promise<Sidecar>;

export function runCommand(load: () => Promise<StartSidecar>): Command {
	return new Command('run')
		.description('run the sidecar; SIGHUP reads the configuration again, SIGTERM and SIGINT drain and stop')
		.option('--config <file>', 'configuration file', 'sallyport.yaml')
		.option('--watch', 'reload when the file changes, or a link to it: in Kubernetes, its ConfigMap')
		.addHelpText('after', example('sallyport run --config sallyport.yaml'))
		.action(({ config: file, watch = false }: { config: string; watch?: boolean }) => run(file, watch, load));
}

async function run(file: string, watch: boolean, load: () => Promise<StartSidecar>): Promise<void> {
	// Before anything is open: a signal's own action would end the process in the middle of its start.
	const signals = new Signals();
	// The configuration is read in another thread, which takes longer; meanwhile this one loads what it is for.
	const reading = loadConfigApart(file, process.env);
	const loading = load();
	loading.catch(() => undefined);
	const loaded = await reading;
	if ('problems' in loaded) {
		for (const problem of loaded.problems) process.stderr.write(`${problemText(file, problem)}\n`);
		process.exit(2);
	}
	// The policy may come later. Everything else that is named is read once, at the start.
	const missing = loaded.missing.filter(({ path }) => /^(identity\.svid|upstreams|audit)\b/.test(path));
	for (const problem of missing) process.stderr.write(`${problemText(file, problem)}\n`);
	if (missing.length > 0) process.exit(1);
	try {
		const start = await loading;
		signals.up(await start(loaded.file, loaded.config, process.env));
		if (watch) await watchFiles([loaded.file], () => signals.reload());
	} catch (error) {
		process.stderr.write(`sallyport: ${(error as Error).message}\n`);
		process.exit(1);
	}
}

/** SIGTERM and SIGINT stop it, during the start when that is over; a second one means now. SIGHUP reloads. */
class Signals {
	#sidecar: Sidecar | undefined;
	#asked: 'stop' | 'reload' | undefined;

	constructor() {
		process.on('SIGTERM', () => this.#stop('SIGTERM'));
		process.on('SIGINT', () => this.#stop('SIGINT'));
		process.on('SIGHUP', () => this.reload());
	}

	up(sidecar: Sidecar): void {
		this.#sidecar = sidecar;
		if (this.#asked === 'stop') this.#end(sidecar);
		else if (this.#asked === 'reload') this.reload();
	}

	#stop(signal: NodeJS.Signals): void {
		if (this.#asked === 'stop') {
			createLog('info').warn({ signal }, 'a second signal: stopping now');
			process.exit(1);
		}
		this.#asked = 'stop';
		if (this.#sidecar !== undefined) this.#end(this.#sidecar);
		else createLog('info').info({ signal }, 'stopping as soon as the start is over');
	}

	reload(): void {
		if (this.#sidecar !== undefined)
			this.#sidecar
				.reload()
				.catch((error: Error) => createLog('info').error({ error: error.message }, 'the reload failed'));
		else this.#asked ??= 'reload';
	}

	#end(sidecar: Sidecar): void {
		sidecar.stop().then(
			() => process.exit(0),
			(error: Error) => {
				process.stderr.write(`sallyport: ${error.message}\n`);
				process.exit(1);
			},
		);
	}
}
