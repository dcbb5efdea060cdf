import { Worker } from 'node:worker_threads';
import { freeze, type Loaded } from './loaded.ts';

/**
 * As `loadConfig`, in a thread of its own that ends with the reading: the YAML reader and the schema would otherwise
 * take some 25 MB for as long as the sidecar runs.
 */
export function loadConfigApart(file: string, environment: NodeJS.ProcessEnv): Promise<Loaded> {
	return new Promise((resolve, reject) => {
		const worker = new Worker(
			new URL(`./config-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
			{
				workerData: { file, environment: { ...environment } },
				execArgv: [],
			},
		);
		let loaded: Loaded | undefined;
		worker.once('message', (message: Loaded) => {
			loaded = message;
		});
		worker.once('error', reject);
		worker.once('exit', () => {
			if (loaded === undefined) reject(new Error('the configuration could not be read'));
			// A copy from another thread is not frozen any more.
			else resolve(freeze(loaded));
		});
	});
}
