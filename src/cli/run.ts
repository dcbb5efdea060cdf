import { Command } from 'commander';
import { loadConfigApart } from '../config/load-apart.ts';
import { problemText } from '../config/loaded.ts';
import type { Config } from '../config/schema.ts';
import { watchFiles } from '../config/watch.ts';

/** What `run` starts; handed down by main.ts, since nothing below the composition root may know it. */
export interface Sidecar {
	reload(): Promise<unknown>;
	stop(): Promise<void>;
}

export type StartSidecar = (file: string, config: Config, environment: NodeJS.ProcessEnv) => Promise<Sidecar>;

export function runCommand(load: () => Promise<StartSidecar>): Command {
	return new Command('run')
		.description('Run the sidecar. SIGHUP reads the configuration again, SIGTERM and SIGINT drain and stop.')
		.option('--config <file>', 'configuration file', 'sallyport.yaml')
		.option('--watch', 'reload when the file changes, or a link to it: in Kubernetes, its ConfigMap')
		.addHelpText('after', '\nExample:\n  sallyport run --config sallyport.yaml')
		.action(async ({ config: file, watch }: { config: string; watch?: boolean }) => {
			const loaded = await loadConfigApart(file, process.env);
			if ('problems' in loaded) {
				for (const problem of loaded.problems) process.stderr.write(`${problemText(file, problem)}\n`);
				process.exitCode = 2;
				return;
			}
			try {
				const start = await load();
				const app = await start(loaded.file, loaded.config, process.env);
				const stop = (): void => {
					// A second signal means now.
					process.once('SIGTERM', () => process.exit(1));
					process.once('SIGINT', () => process.exit(1));
					void app.stop().then(
						() => process.exit(0),
						(error: Error) => {
							process.stderr.write(`sallyport: ${error.message}\n`);
							process.exit(1);
						},
					);
				};
				process.once('SIGTERM', stop);
				process.once('SIGINT', stop);
				process.on('SIGHUP', () => void app.reload());
				if (watch === true) await watchFiles([loaded.file], () => void app.reload());
			} catch (error) {
				process.stderr.write(`sallyport: ${(error as Error).message}\n`);
				process.exit(1);
			}
		});
}
