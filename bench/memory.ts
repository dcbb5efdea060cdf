import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { issueInFolder } from '../src/identity/dev-folder.ts';
import type { Running } from './candidate.ts';
import { sallyport } from './candidates/sallyport.ts';
import { TRUST_DOMAIN } from './certificates.ts';
import { agentPath } from './grants.ts';
import { type Bench, drive } from './load.ts';
import { residentBytes } from './processes.ts';

/** What agents and connections hold. Bytes, resident. */
export interface Memory {
	/** After load, with nobody connected. */
	readonly before: number;
	/** Agents that called once each and left; twice, for the first time warms what many agents need. */
	readonly agents: number;
	readonly afterAgents: number;
	readonly afterTwice: number;
	/** Connections that are open and idle, all of one agent. */
	readonly connections: number;
	readonly afterConnections: number;
}

export interface MemoryOptions {
	readonly bench: Bench;
	readonly upstreamPort: number;
	readonly flags: readonly string[];
	/** Of each. */
	readonly count: number;
	say(line: string): void;
}

/** Connections that are opened at once. */
const AT_ONCE = 16;

export async function measureMemory({ bench, upstreamPort, flags, count, say }: MemoryOptions): Promise<Memory> {
	const folder = await mkdtemp(join(tmpdir(), 'sallyport-bench-'));
	const own = join(folder, 'sallyport');
	await mkdir(own);
	const candidate = sallyport({ name: 'sallyport', grants: count * 2 * 10 + 20, flags, built: true });
	const running = await candidate.start({ ...bench, upstreamPort, folder: own, core: bench.cores[0] });
	const open: TLSSocket[] = [];
	try {
		const ca = await readFile(bench.certificates.ca, 'utf8');
		/** The same work before each look, so that as much garbage lies about. */
		const look = async (): Promise<number> => {
			await drive(bench, running, { kind: 'requests', connections: 8, seconds: 2, warmUp: 0 });
			await pause(2000);
			return residentBytes(running.pid);
		};
		await drive(bench, running, { kind: 'full handshakes', connections: 8, seconds: 3, warmUp: 0 });
		await drive(bench, running, { kind: 'requests', connections: 64, seconds: 3, warmUp: 0 });
		const before = await look();
		const visits = async (from: number): Promise<number> => {
			await inTurns(count, async index => {
				const pair = await newAgent(from + index, bench, folder);
				(await call(running, { ca, ...pair })).destroy();
			});
			return await look();
		};
		const afterAgents = await visits(0);
		// The load's own agent stands in the middle.
		const afterTwice = await visits(count + 2);
		const { certificate, key } = bench.certificates.agent;
		const pair = { cert: await readFile(certificate, 'utf8'), key: await readFile(key, 'utf8') };
		await inTurns(count, async () => void open.push(await call(running, { ca, ...pair })));
		const afterConnections = await look();
		const left = open.filter(socket => socket.destroyed || socket.readableEnded).length;
		if (left > 0) throw new Error(`${left} of ${count} idle connections were closed`);
		say(
			`memory: ${mb(before)} MB, ${mb(afterAgents)} and ${mb(afterTwice)} MB after ${count} agents each, ${mb(afterConnections)} MB with ${count} connections`,
		);
		return { before, agents: count, afterAgents, afterTwice, connections: count, afterConnections };
	} finally {
		for (const socket of open) socket.destroy();
		await running.stop(0).catch(() => undefined);
		await rm(folder, { recursive: true, force: true });
	}
}

const mb = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** Some at a time. */
async function inTurns(count: number, run: (index: number) => Promise<void>): Promise<void> {
	let next = 0;
	const lane = async (): Promise<void> => {
		while (next < count) await run(next++);
	};
	await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

interface Pair {
	readonly cert: string;
	readonly key: string;
}

async function newAgent(agent: number, bench: Bench, folder: string): Promise<Pair> {
	const directory = join(bench.certificates.ca, '..');
	const id = `spiffe://${TRUST_DOMAIN}${agentPath(agent)}`;
	const issued = await issueInFolder(id, { directory, now: Date.now(), lifetime: 86_400_000, force: true });
	if ('mistake' in issued) throw new Error(`${issued.mistake} (${folder})`);
	return { cert: await readFile(issued.certificate, 'utf8'), key: await readFile(issued.key, 'utf8') };
}

/** One call on a new connection, which stays open. */
function call({ entrance }: Running, credentials: Pair & { readonly ca: string }): Promise<TLSSocket> {
	const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
	const socket = connect({ host: '127.0.0.1', port: entrance.port, servername: 'localhost', ...credentials });
	let answer = '';
	socket.once('secureConnect', () => {
		socket.write(`GET ${entrance.target} HTTP/1.1\r\nHost: ${entrance.host}\r\n\r\n`);
	});
	socket.on('data', (chunk: Buffer) => {
		answer += chunk.toString('latin1');
		const head = answer.indexOf('\r\n\r\n');
		const length = Number(/content-length: *(\d+)/i.exec(answer)?.[1]);
		if (head < 0 || answer.length < head + 4 + length) return;
		if (answer.startsWith('HTTP/1.1 200')) resolve(socket);
		else reject(new Error(`an agent was answered ${answer.slice(0, 200)}`));
	});
	socket.once('error', reject);
	socket.once('close', () => reject(new Error('a connection was closed')));
	return promise;
}
