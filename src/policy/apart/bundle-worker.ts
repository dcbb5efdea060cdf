import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import type { Job, Ready } from '../ready.ts';
import { PART, PARTS, type Said } from './messages.ts';

// Runs in the thread that `Loader` starts.

const say = (said: Said, transferred: readonly ArrayBuffer[] = []): void => parentPort?.postMessage(said, transferred);

const job = workerData as Job;
try {
	// Of this thread alone (setpriority(2), where it is the kernel's threads that have one): calls go first. What compiles
	// inherits it, and has a time limit.
	const compiles = job.archive === undefined && !/\.(tar\.gz|tgz)$/.test(job.paths[0] ?? '');
	const { PRIORITY_BELOW_NORMAL, PRIORITY_LOW } = constants.priority;
	if (process.platform === 'linux') setPriority(0, compiles ? PRIORITY_BELOW_NORMAL : PRIORITY_LOW);
} catch {
	// Then it takes its share.
}
// Loading this is work too.
const [{ makeReady }, { problemsOf }] = await Promise.all([import('../ready.ts'), import('../problem.ts')]);
try {
	const ready = await makeReady(job);
	if (ready === undefined) say({ kind: 'unchanged' });
	else handOver(ready, job.archive === undefined);
} catch (error) {
	say({ kind: 'refused', problems: problemsOf(error) });
}

function handOver({ bundle, prepared }: Ready, withArchive: boolean): void {
	const { module, memory, ...facts } = prepared;
	const bytes = new Uint8Array(memory.buffer, 0, facts.heap);
	const window = new SharedArrayBuffer(PART * PARTS);
	const { revision, digest, packages } = bundle;
	// A copy of its own can be handed over without another one.
	const archive = withArchive ? new Uint8Array(bundle.archive) : undefined;
	const told = { revision, digest, packages, ...(archive === undefined ? {} : { archive }) };
	say({ kind: 'prepared', bundle: told, module, facts, window }, archive === undefined ? [] : [archive.buffer]);
	let at = 0;
	parentPort?.on('message', () => {
		const part = bytes.subarray(at, at + window.byteLength);
		new Uint8Array(window).set(part);
		at += part.length;
		say({ kind: 'filled' });
		if (at === bytes.length) parentPort?.close();
	});
}
