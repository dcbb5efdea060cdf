import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { until } from './until.ts';
import type { Workspace } from './workspace.ts';

/** The release that set-up puts into the cache; later ones need a Go that is newer than Debian's. */
export const NATS_RELEASE = '2.12.2';

/** Where `nats-server` may be, in this order; the last one is the cache. */
export function natsServerPlaces(environment: NodeJS.ProcessEnv): readonly string[] {
	const onPath = (environment['PATH'] ?? '').split(delimiter).filter(folder => folder !== '');
	const cache = environment['XDG_CACHE_HOME'] ?? join(environment['HOME'] ?? homedir(), '.cache');
	return [
		...onPath.map(folder => join(folder, 'nats-server')),
		join(cache, 'sallyport', `nats-server-${NATS_RELEASE}`, 'nats-server'),
	];
}

export const NO_NATS = 'there is no nats-server on PATH or in the cache, where set-up builds it if there is Go';

export function findNats(): string | undefined {
	return natsServerPlaces(process.env).find(path => {
		try {
			accessSync(path, constants.X_OK);
			return true;
		} catch {
			return false;
		}
	});
}

export interface Nats {
	readonly port: number;
	/** kill -9, and waits for the end. */
	kill(): Promise<void>;
}

export interface NatsOptions {
	/** Free where it is absent. */
	readonly port?: number;
	/** More of its configuration. */
	readonly config?: string;
}

/** A real nats-server with JetStream on loopback, its streams in the workspace. Killed at the test's end. */
export async function startNats(
	t: Pick<TestContext, 'after'>,
	workspace: Workspace,
	server: string,
	{ port = -1, config = '' }: NatsOptions = {},
): Promise<Nats> {
	const file = workspace.write(
		'nats/server.conf',
		`listen: "127.0.0.1:${port}"\njetstream { store_dir: "${workspace.path('nats/store')}" }\n${config}\n`,
	);
	const child = spawn(server, ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] });
	let said = '';
	child.stderr.setEncoding('utf8').on('data', (text: string) => {
		said += text;
	});
	const ended = new Promise<void>(resolve => child.once('close', () => resolve()));
	const kill = (): Promise<void> => {
		if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
		return ended;
	};
	t.after(kill);
	const listening = await until(
		() => child.exitCode ?? (said.includes('Server is ready') && /connections on 127\.0\.0\.1:(\d+)/.exec(said)),
		'nats-server is ready',
	);
	if (typeof listening === 'number') throw new Error(`nats-server ended: ${said}`);
	return { port: Number(listening[1]), kill };
}
