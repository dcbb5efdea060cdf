import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from './until.ts';
import type { Workspace } from './workspace.ts';

/** The user that Sallyport runs as in a pod, and an agent's. */
export const SALLYPORT_USER = 65532;
export const AGENT_USER = 1000;

/** Public addresses that nobody outside can be reached by: the namespaces have no way out of this machine. */
export const WORLD = {
	v4: '50.0.0.1',
	v6: '2600:50::1',
	/** Another server, of another name. */
	other4: '50.0.0.9',
	other6: '2600:50::9',
	/** A cloud's metadata service. */
	metadata: '169.254.169.254',
	/** Private: where an upstream may be, and an undeclared target may not. */
	inside: '10.60.0.1',
} as const;

const POD = { v4: '50.0.0.2/24', v6: '2600:50::2/64', inside: '10.60.0.2/24' } as const;

const SCRIPT = fileURLToPath(new URL('../../helm/sallyport/files/egress.sh', import.meta.url));
const PROGRAM = fileURLToPath(new URL('world-program.ts', import.meta.url));

/** Why no pod can be made here; undefined when one can. */
export function podMissing(): string | undefined {
	for (const command of ['unshare', 'nsenter', 'setpriv', 'ip', 'nft', 'iptables'])
		if (spawnSync(command, ['--version'], { stdio: 'ignore' }).error !== undefined)
			return `${command} is not installed (.ci/run installs util-linux, iproute2, nftables and iptables)`;
	const tried = spawnSync('unshare', ['--net', '--mount', 'nft', 'list', 'ruleset'], { encoding: 'utf8' });
	return tried.status === 0
		? undefined
		: `network namespaces cannot be made here, which takes root and CAP_SYS_ADMIN: ${tried.stderr.trim()}`;
}

/** How a command ended. */
export interface Ran {
	readonly status: number | null;
	readonly stdout: string;
	readonly stderr: string;
}

/** Something that the world outside the pod was sent. */
export interface Arrival {
	/** `tcp:443`, `udp:53`. */
	readonly on: string;
	/** The address it was sent to. */
	readonly to: string;
	readonly from: string;
}

/** A network namespace like a pod's, with a world of servers at the other end of its only wire. */
export interface Pod {
	/** What precedes a command that is to run in it, as this user. */
	through(user: number): readonly string[];
	run(user: number, command: readonly string[], input?: string): Promise<Ran>;
	/** Runs helm/sallyport/files/egress.sh in it, as root. */
	rules(...options: string[]): Promise<Ran>;
	/** What a server in the pod says to somebody outside of it. */
	fromOutside(address: string, port: number): Promise<string>;
	/** Everything that came out of the pod so far. */
	arrivals(): readonly Arrival[];
	/** What the world's HTTP servers were asked, each as `METHOD host path`. */
	requests(): readonly string[];
}

/** Makes one with these names; they go with the test. Sallyport's user may use the workspace. */
export async function makePod(
	t: Pick<TestContext, 'after'>,
	workspace: Workspace,
	names: Readonly<Record<string, readonly string[]>>,
): Promise<Pod> {
	workspace.write(
		'etc/hosts',
		Object.entries({ ...names, localhost: ['127.0.0.1', '::1'] })
			.flatMap(([name, addresses]) => addresses.map(address => `${address} ${name}\n`))
			.join(''),
	);
	workspace.write('etc/resolv.conf', `nameserver ${WORLD.v4}\nnameserver ${WORLD.v6}\noptions timeout:1 attempts:1\n`);
	const world = await hold(t, 'ip link set lo up');
	const pod = await hold(
		t,
		`mount --bind '${workspace.path('etc/hosts')}' /etc/hosts; mount --bind '${workspace.path('etc/resolv.conf')}' /etc/resolv.conf; ip link set lo up`,
	);
	must(enter(pod, 0), ['ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(world)]);
	for (const [pid, addresses] of [
		[pod, Object.values(POD)],
		[
			world,
			[
				`${WORLD.v4}/24`,
				`${WORLD.other4}/24`,
				`${WORLD.v6}/64`,
				`${WORLD.other6}/64`,
				`${WORLD.inside}/24`,
				`${WORLD.metadata}/32`,
			],
		],
	] as const) {
		for (const address of addresses)
			must(enter(pid, 0), [
				'ip',
				'address',
				'add',
				address,
				'dev',
				'eth0',
				...(address.includes(':') ? ['nodad'] : []),
			]);
		must(enter(pid, 0), ['ip', 'link', 'set', 'eth0', 'up']);
	}
	must(enter(pod, 0), ['ip', 'route', 'add', 'default', 'via', WORLD.v4]);
	must(enter(pod, 0), ['ip', '-6', 'route', 'add', 'default', 'via', WORLD.v6]);
	const { certificate, key } = workspace.issue('world', 'spiffe://example.org/upstreams/world', {
		names: Object.keys(names).map(dns => ({ kind: 'dns', value: dns }) as const),
	});
	const lines = await startWorld(t, [
		...[...enter(world, 0), process.execPath, PROGRAM, certificate, key],
		...[WORLD.v4, WORLD.v6, WORLD.other4, WORLD.other6],
	]);
	handOver(workspace.directory);
	return {
		through: user => enter(pod, user),
		run: (user, command, input) => run([...enter(pod, user), ...command], input),
		rules: (...options) => run([...enter(pod, 0), 'sh', SCRIPT, ...options]),
		async fromOutside(address, port) {
			const ask = `import socket, time
for _ in range(100):
    try: print(socket.create_connection(('${address}', ${port}), 5).recv(100).decode(), end=''); break
    except ConnectionRefusedError: time.sleep(0.05)`;
			return (await run([...enter(world, 0), 'python3', '-c', ask])).stdout;
		},
		arrivals: () => lines().filter((line): line is Arrival => 'on' in line),
		requests: () => lines().flatMap(line => ('request' in line ? [line.request] : [])),
	};
}

type Line = Arrival | { readonly request: string } | { readonly up: true };

/** A process that keeps namespaces alive. */
async function hold(t: Pick<TestContext, 'after'>, setup: string): Promise<number> {
	const child = spawn('unshare', ['--net', '--mount', 'sh', '-c', `set -e; ${setup}; echo ready; exec sleep 3600`], {
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	t.after(() => child.kill('SIGKILL'));
	await said(child, text => text.includes('ready'), 'a namespace');
	return child.pid ?? 0;
}

/** Users read the checkout wherever it lies, and have no other right: root runs as in a container that may do everything. */
const enter = (pid: number, user: number): string[] => [
	'nsenter',
	`--net=/proc/${pid}/ns/net`,
	`--mount=/proc/${pid}/ns/mnt`,
	...(user === 0
		? []
		: [
				'setpriv',
				...[`--reuid=${user}`, `--regid=${user}`, '--clear-groups', '--no-new-privs'],
				...['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'],
			]),
];

function must(through: readonly string[], command: readonly string[]): void {
	const [program = '', ...rest] = [...through, ...command];
	const { status, stderr } = spawnSync(program, rest, { encoding: 'utf8' });
	if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr}`);
}

async function startWorld(
	t: Pick<TestContext, 'after'>,
	[program = '', ...rest]: readonly string[],
): Promise<() => readonly Line[]> {
	const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
	t.after(() => child.kill('SIGKILL'));
	const text = await said(child, all => all.includes('"up"'), 'the world');
	return () =>
		text()
			.split('\n')
			.slice(0, -1)
			.map(line => JSON.parse(line) as Line);
}

async function said(child: ChildProcess, fits: (text: string) => boolean, what: string): Promise<() => string> {
	let text = '';
	child.stdout?.setEncoding('utf8').on('data', (more: string) => {
		text += more;
	});
	await until(() => {
		if (child.exitCode !== null) throw new Error(`${what} ended with status ${child.exitCode}`);
		return fits(text);
	}, what);
	return () => text;
}

function run([program = '', ...rest]: readonly string[], input = ''): Promise<Ran> {
	const child = spawn(program, rest, { env: { PATH: process.env['PATH'], HOME: '/nonexistent' } });
	let stdout = '';
	let stderr = '';
	child.stdout.setEncoding('utf8').on('data', (text: string) => {
		stdout += text;
	});
	child.stderr.setEncoding('utf8').on('data', (text: string) => {
		stderr += text;
	});
	child.stdin.on('error', () => {});
	child.stdin.end(input);
	return new Promise((resolve, reject) => {
		child.once('error', reject);
		child.once('close', status => resolve({ status, stdout, stderr }));
	});
}

/** Runs helm/sallyport/files/egress.sh where it changes nothing. */
export const runScript = (options: readonly string[]): Promise<Ran> => run(['sh', SCRIPT, ...options]);

/** Gives the folder to Sallyport's user; agents may look up certificates in it. */
export function handOver(path: string): void {
	chownSync(path, SALLYPORT_USER, SALLYPORT_USER);
	const directory = lstatSync(path).isDirectory();
	chmodSync(path, directory ? 0o755 : 0o644);
	if (directory) for (const name of readdirSync(path)) handOver(join(path, name));
}
