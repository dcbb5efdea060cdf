import { connect } from 'node:net';
import type { TestContext } from 'node:test';
import { stringify } from 'yaml';
import { curl } from '../support/curl.ts';
import { defaults, type Sections } from '../support/sallyport.ts';
import { openWire, type Wire, type WireOptions } from '../support/wire.ts';
import type { Workspace } from '../support/workspace.ts';

/** What a reload answers. */
export interface Reloaded {
	readonly taken: boolean;
	readonly problems?: readonly { readonly message: string }[];
}

/** Puts sections of the configuration in the place of those before and has them read. */
export async function reload(workspace: Workspace, config: Sections): Promise<Reloaded> {
	// A copy: what stands in two places would be an alias in YAML.
	const sections = JSON.parse(JSON.stringify({ ...defaults(workspace), ...config })) as Sections;
	workspace.write('sallyport.yaml', stringify(sections));
	const answer = await curl([...control(workspace), '-X', 'POST', 'http://sallyport/v1/reload']);
	return answer.json() as unknown as Reloaded;
}

export interface Status {
	readonly calls_open: number;
	readonly config: { readonly retired?: number };
	readonly policy: { readonly mode: string };
	readonly listeners: readonly { readonly name: string; readonly address: string; readonly connections: number }[];
}

export const statusOf = async (workspace: Workspace): Promise<Status> =>
	(await curl([...control(workspace), 'http://sallyport/v1/status'])).json() as unknown as Status;

const control = (workspace: Workspace): string[] => ['--unix-socket', workspace.path('control.sock')];

/** Opens a tunnel and shows that it goes through. */
export async function openTunnel(
	t: Pick<TestContext, 'after'>,
	address: string,
	place: string,
	options: WireOptions = {},
): Promise<Wire> {
	const wire = await openWire(t, address, options);
	wire.send(`CONNECT ${place} HTTP/1.1\r\nHost: ${place}\r\n\r\n`);
	await wire.receives('200 Connection Established');
	await echoes(wire, 'begun');
	return wire;
}

/** What is sent comes back. */
export async function echoes(wire: Wire, text: string): Promise<void> {
	wire.send(text);
	await wire.receives(text);
}

/** Connects again and again until it is told to stop, and says how often that failed. */
export function knock(address: string): { stop(): Promise<{ readonly tried: number; readonly failed: number }> } {
	const [host = '', port = ''] = address.split(':');
	let tried = 0;
	let failed = 0;
	let over = false;
	const once = (): Promise<void> =>
		new Promise(resolve => {
			tried++;
			const socket = connect({ host, port: Number(port) });
			socket.once('connect', () => {
				socket.destroy();
				resolve();
			});
			socket.once('error', (error: NodeJS.ErrnoException) => {
				if (error.code === 'ECONNREFUSED') failed++;
				resolve();
			});
		});
	const running = (async () => {
		while (!over) await once();
	})();
	return {
		async stop() {
			over = true;
			await running;
			return { tried, failed };
		},
	};
}
