import { type ChildProcess, spawn } from 'node:child_process';
import { get } from 'node:http';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { schema } from '../../src/config/schema.ts';
import { type AuditRecord, readRecords, waitForRecord } from './records.ts';
import { until } from './until.ts';
import { TRUST_DOMAIN, type Workspace } from './workspace.ts';

/** The launcher of the checkout. */
export const SALLYPORT = fileURLToPath(new URL('../../bin/sallyport', import.meta.url));

/** Sections of the configuration as they stand in YAML; checked by Sallyport itself. */
export type Sections = { readonly [Section in keyof typeof schema.shape]?: unknown };

export interface SallyportOptions {
	/** Replaces whole sections of {@link defaults}; `upstreams` is usually all that a test says. */
	readonly config?: Sections;
	/** Allows everything by default. */
	readonly policy?: Policy;
	readonly env?: Readonly<Record<string, string>>;
	/** What precedes the command: it runs in another namespace, or as another user. */
	readonly through?: readonly string[];
	/** A configuration file that is there already; `config` then only says where records are. */
	readonly file?: string;
	/** `run --watch`. */
	readonly watch?: true;
	/** Do not wait until it is up: for starts that must fail. */
	readonly wait?: false;
}

/** A line of Sallyport's own log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: string };

export interface Ended {
	readonly code: number | null;
	readonly signal: NodeJS.Signals | null;
}

/** A real process, `bin/sallyport run`. */
export interface Sallyport {
	readonly pid: number;
	/** Where a listener really listens: `127.0.0.1:PORT` or `unix:PATH`. */
	address(listener: string): string;
	/** The address of /readyz, /livez and /metrics. */
	health(): string;
	log(): readonly LogLine[];
	/** Everything on stderr, lines that are no JSON too. */
	stderr(): string;
	stdout(): string;
	waitForLog(fits: (line: LogLine) => boolean, what: string): Promise<LogLine>;
	records(): readonly AuditRecord[];
	waitForRecord(fits: (record: AuditRecord) => boolean, what: string): Promise<AuditRecord>;
	/** The text of /metrics. */
	metrics(): Promise<string>;
	/** Sends a signal and goes on. */
	signal(name: NodeJS.Signals): void;
	/** kill -9, and waits for the end. */
	kill(): Promise<Ended>;
	/** SIGTERM, and waits for the end. */
	stop(): Promise<Ended>;
	ended(): Promise<Ended>;
}

/** Rego files by name. */
export type Policy = Readonly<Record<string, string>>;

/** A policy whose phases `request` and `connect` have these rules. */
export const policyOf = (request: string, connect = request): Policy => ({
	'request.rego': `package sallyport.request\n\n${request}\n`,
	'connect.rego': `package sallyport.connect\n\n${connect}\n`,
});

/** A proxy listener by mutual TLS, records, health on a free port; the control socket in the folder. */
export const defaults = (workspace: Workspace): Sections => ({
	identity: {
		trust_domain: TRUST_DOMAIN,
		svid: { files: { certificate: 'certs/sallyport.pem', key: 'certs/sallyport.key', trust_bundle: 'certs/ca.pem' } },
	},
	policy: { files: ['policies'] },
	listeners: [{ name: 'egress', address: '127.0.0.1:0', serves: 'http_proxy' }],
	admin: { health: { address: '127.0.0.1:0' }, control: { socket: workspace.path('control.sock') } },
});

/** Writes configuration and policy, starts the process, and waits until it is up. Killed at the test's end. */
export async function startSallyport(
	t: Pick<TestContext, 'after'> & { readonly passed?: boolean },
	workspace: Workspace,
	options: SallyportOptions = {},
): Promise<Sallyport> {
	for (const [name, rego] of Object.entries(options.policy ?? policyOf('allow := true'))) {
		workspace.write(`policies/${name}`, rego);
	}
	const file =
		options.file ?? workspace.write('sallyport.yaml', stringify({ ...defaults(workspace), ...options.config }));
	const [program = SALLYPORT, ...rest] = [...(options.through ?? []), SALLYPORT, 'run', '--config', file];
	if (options.watch) rest.push('--watch');
	const child = spawn(program, rest, {
		cwd: workspace.directory,
		env: { ...process.env, ...options.env },
		stdio: ['ignore', 'pipe', 'pipe'],
	});
	const sallyport = handle(child, workspace, options);
	t.after(async () => {
		await sallyport.kill();
		if (t.passed === false) process.stderr.write(sallyport.stderr());
	});
	if (options.wait !== false) {
		const up = await until(
			() => sallyport.log().find(({ msg }) => msg === 'sallyport is up') ?? (child.exitCode !== null && 'ended'),
			'Sallyport is up',
			60_000,
		);
		if (up === 'ended') throw new Error(`Sallyport ended with status ${child.exitCode}: ${sallyport.stderr()}`);
	}
	return sallyport;
}

function handle(child: ChildProcess, workspace: Workspace, options: SallyportOptions): Sallyport {
	let stdout = '';
	let stderr = '';
	child.stdout?.setEncoding('utf8').on('data', (text: string) => {
		stdout += text;
	});
	child.stderr?.setEncoding('utf8').on('data', (text: string) => {
		stderr += text;
	});
	const ended = new Promise<Ended>((resolve, reject) => {
		child.once('error', reject);
		child.once('close', (code, signal) => resolve({ code, signal }));
	});
	ended.catch(() => {});
	const audit = (options.config?.audit ?? {}) as { readonly directory?: string };
	const directory = workspace.path(audit.directory ?? 'var/audit');
	const log = (): LogLine[] => stderr.split('\n').slice(0, -1).flatMap(parsed);
	const address = (listener: string): string => {
		const line = log().findLast(({ msg, listener: name }) => msg === 'listening' && name === listener);
		if (typeof line?.address !== 'string') throw new Error(`nothing listens as ${listener}: ${stderr}`);
		return line.address;
	};
	const signal = (name: NodeJS.Signals): void => {
		if (child.exitCode === null && child.signalCode === null) child.kill(name);
	};
	return {
		pid: child.pid ?? 0,
		address,
		health: () => address('health'),
		log,
		stderr: () => stderr,
		stdout: () => stdout,
		waitForLog: (fits, what) => until(() => log().find(fits), `a line of the log: ${what}; the log:\n${stderr}`),
		records: () => readRecords(directory),
		waitForRecord: (fits, what) => waitForRecord(directory, fits, what),
		metrics: () => text(`http://${address('health')}/metrics`),
		signal,
		kill() {
			signal('SIGKILL');
			return ended;
		},
		stop() {
			signal('SIGTERM');
			return ended;
		},
		ended: () => ended,
	};
}

function parsed(line: string): LogLine[] {
	try {
		return [JSON.parse(line) as LogLine];
	} catch {
		return [];
	}
}

function text(url: string): Promise<string> {
	return new Promise((resolve, reject) => {
		get(url, { agent: false }, response => {
			let body = '';
			response.setEncoding('utf8').on('data', (chunk: string) => {
				body += chunk;
			});
			response.on('end', () => resolve(body)).on('error', reject);
		}).on('error', reject);
	});
}
