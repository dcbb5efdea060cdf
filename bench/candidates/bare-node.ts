import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import type { Candidate, Running, Setting } from '../candidate.ts';
import { accepts, freePort, runningAt, startPinned, untilReady } from '../processes.ts';
import { candidateEnvironment, nodeProgram, ROOT } from '../program.ts';

const SOURCE = join(import.meta.dirname, '..', 'peers', 'bare-node.ts');
/** Beside node_modules, so that it finds undici; without types, so that the peer does not pay for removing them. */
const PROGRAM = join(ROOT, 'node_modules', '.cache', 'sallyport-bench', 'bare-node.mjs');

/** A proxy of node:https and undici that decides and records nothing: what is left is the price of Node. */
export function bareNode(): Candidate {
	return {
		name: 'bare-node',
		what: 'node:https and undici `dispatch`, small bodies whole: no policy, no records',
		async prepare() {
			await mkdir(join(PROGRAM, '..'), { recursive: true });
			await writeFile(PROGRAM, stripTypeScriptTypes(await readFile(SOURCE, 'utf8')));
			return { version: process.version };
		},
		async start({ certificates, upstreamPort, folder, core }: Setting): Promise<Running> {
			const port = await freePort();
			const log = join(folder, 'log');
			const { certificate, key } = certificates.server;
			const flags = [String(port), String(upstreamPort), certificates.ca, certificate, key];
			const child = startPinned(core, [nodeProgram(), PROGRAM, ...flags], log, { env: candidateEnvironment() });
			await untilReady(child, log, () => accepts(port));
			return runningAt(child, port);
		},
	};
}
