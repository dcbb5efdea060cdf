import { spawn } from 'node:child_process';
import type { Pair, Workspace } from './workspace.ts';

/** How one run of curl ended. */
export interface Curl {
	/** curl's own exit status. */
	readonly exit: number;
	/** HTTP status of the answer, of the CONNECT where that was refused; 0 when there was none. */
	readonly status: number;
	/** By lower-case name; all values. */
	readonly headers: Readonly<Record<string, readonly string[]>>;
	readonly body: string;
	/** What curl complained about. */
	readonly error: string;
	/** The body as JSON. */
	json(): Record<string, unknown>;
}

const MARK = '\n--what-curl-saw--\n';
const SEEN = `%{stderr}${MARK}{"status":"%{http_code}","connect":"%{http_connect}","headers":%{header_json}}`;

export interface CurlOptions {
	readonly input?: string | Uint8Array;
	/** Seconds. */
	readonly limit?: number;
	/** The user that it runs as; only root can choose another one. */
	readonly user?: number;
}

/** Runs curl with nothing of the caller's environment. */
export function curl(args: readonly string[], { input, limit = 30, user }: CurlOptions = {}): Promise<Curl> {
	const child = spawn('curl', ['-q', '-sS', '--max-time', String(limit), '-w', SEEN, ...args], {
		env: { PATH: process.env['PATH'], HOME: '/nonexistent' },
		stdio: ['pipe', 'pipe', 'pipe'],
		...(user === undefined ? {} : { uid: user, gid: user }),
	});
	const out: Buffer[] = [];
	const errors: Buffer[] = [];
	child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
	child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
	child.stdin.on('error', () => {});
	child.stdin.end(input ?? '');
	return new Promise((resolve, reject) => {
		child.on('error', reject);
		child.on('close', exit => {
			const [error = '', tail = '{}'] = Buffer.concat(errors).toString('utf8').split(MARK);
			const seen = JSON.parse(tail) as { status?: string; connect?: string; headers?: Record<string, string[]> };
			const body = Buffer.concat(out).toString('utf8');
			const status = Number(seen.status ?? 0) || Number(seen.connect ?? 0);
			resolve({
				exit: exit ?? -1,
				status,
				headers: seen.headers ?? {},
				body,
				error: error.trim(),
				json: () => JSON.parse(body) as Record<string, unknown>,
			});
		});
	});
}

/** Arguments for a proxy that an agent reaches by mutual TLS. */
export const throughProxy = (workspace: Workspace, address: string, agent?: Pair): string[] => [
	'--proxy',
	`https://${address}`,
	'--proxy-cacert',
	workspace.ca,
	...(agent === undefined ? [] : ['--proxy-cert', agent.certificate, '--proxy-key', agent.key]),
];

/** Arguments for a door that an agent reaches by mutual TLS. */
export const atDoor = (workspace: Workspace, agent?: Pair): string[] => [
	'--cacert',
	workspace.ca,
	...(agent === undefined ? [] : ['--cert', agent.certificate, '--key', agent.key]),
];
