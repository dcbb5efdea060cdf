import { parentPort, workerData } from 'node:worker_threads';
import { missingFiles } from './files.ts';
import { loadConfig } from './load.ts';

// Runs in the thread that `loadConfigApart` starts.
const { file, environment } = workerData as { readonly file: string; readonly environment: NodeJS.ProcessEnv };
parentPort?.postMessage(loadConfig(file, environment, { files: missingFiles }));
