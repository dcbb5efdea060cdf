import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { problemsOf } from '../problem.ts';
import { type Job, makeReady, type Ready } from '../ready.ts';
import { PART, PARTS, type Said } from './messages.ts';

// Runs in the thread that `Loader` starts.

const say = (said: Said, transferred: readonly ArrayBuffer[] = []): void => parentPort?.postMessage(said, transferred);

try {
	// Of this thread alone (setpriority(2), where it is the kernel's threads that have one): calls go first.
	if (process.platform === 'linux') setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);
} catch {
	// Then it takes its share.
}
const job = workerData as Job;
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
