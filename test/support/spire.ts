import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { until } from './until.ts';

/** A real SPIRE: server and agent on this host, for as long as the test runs. */
export interface Spire {
	/** `unix:///…` of the agent's Workload API. */
	readonly socket: string;
	/** `https://localhost:PORT/` of the server's bundle endpoint, profile `https_web`. */
	readonly endpoint: string;
	/** Runs `spire-server WORDS…`; resolves to what it prints. */
	server(words: readonly string[], input?: string): Promise<string>;
	/** Makes a registration entry for processes of this user; resolves to its id. */
	entry(spiffeId: string, more?: readonly string[]): Promise<string>;
}

/** Where the two programs are: in the folder SALLYPORT_SPIRE, or on PATH. Undefined when one is missing. */
export function findSpire(): { readonly server: string; readonly agent: string } | undefined {
	const folders = [process.env['SALLYPORT_SPIRE'] ?? '', ...(process.env['PATH'] ?? '').split(delimiter)];
	const find = (name: string): string | undefined =>
		folders
			.filter(folder => folder !== '')
			.map(folder => join(folder, name))
			.find(path => {
				try {
					accessSync(path, constants.X_OK);
					return true;
				} catch {
					return false;
				}
			});
	const server = find('spire-server');
	const agent = find('spire-agent');
	return server === undefined || agent === undefined ? undefined : { server, agent };
}

export const NO_SPIRE = 'spire-server and spire-agent are neither on PATH nor in the folder SALLYPORT_SPIRE';

const freePort = (): Promise<number> =>
	new Promise((resolve, reject) => {
		const probe = createServer();
		probe.once('error', reject);
		probe.listen(0, '127.0.0.1', () => {
			const address = probe.address();
			probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
		});
	});

export interface SpireOptions {
	readonly programs: { readonly server: string; readonly agent: string };
	/** An empty folder with a short name. */
	readonly directory: string;
	/** The bundle endpoint's certificate, as paths of PEM files. */
	readonly endpoint: { readonly certificate: string; readonly key: string };
}

export async function startSpire(
	t: Pick<TestContext, 'after'>,
	{ programs, directory, endpoint }: SpireOptions,
): Promise<Spire> {
	const at = (name: string): string => join(directory, name);
	for (const name of ['server', 'agent']) mkdirSync(at(name));
	const [port, endpointPort] = [await freePort(), await freePort()];
	writeFileSync(
		at('server.conf'),
		`server {
  bind_address = "127.0.0.1"
  bind_port = "${port}"
  socket_path = "${at('server.sock')}"
  trust_domain = "example.org"
  data_dir = "${at('server')}"
  log_level = "WARN"
  federation {
    bundle_endpoint {
      address = "127.0.0.1"
      port = ${endpointPort}
      profile "https_web" {
        serving_cert_file {
          cert_file_path = "${endpoint.certificate}"
          key_file_path = "${endpoint.key}"
          file_sync_interval = "1h"
        }
      }
    }
  }
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "${at('data.sqlite3')}" } }
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
}
`,
	);
	run(t, programs.server, ['run', '-config', at('server.conf')]);
	const server = (words: readonly string[], input = ''): Promise<string> =>
		execute(programs.server, [...words, '-socketPath', at('server.sock')], input);
	await until(() => server(['healthcheck']).catch(() => false), 'spire-server is up', 30_000);
	const token = /^Token: (\S+)/m.exec(await server(['token', 'generate', '-spiffeID', NODE]))?.[1] ?? '';
	writeFileSync(at('bundle.pem'), await server(['bundle', 'show']));
	writeFileSync(
		at('agent.conf'),
		`agent {
  data_dir = "${at('agent')}"
  log_level = "WARN"
  server_address = "127.0.0.1"
  server_port = "${port}"
  socket_path = "${at('agent.sock')}"
  trust_bundle_path = "${at('bundle.pem')}"
  trust_domain = "example.org"
  join_token = "${token}"
  experimental { sync_interval = "500ms" }
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data {} }
}
`,
	);
	run(t, programs.agent, ['run', '-config', at('agent.conf')]);
	await until(
		() => execute(programs.agent, ['healthcheck', '-socketPath', at('agent.sock')], '').catch(() => false),
		'spire-agent is up',
		30_000,
	);
	return {
		socket: `unix://${at('agent.sock')}`,
		endpoint: `https://localhost:${endpointPort}/`,
		server,
		async entry(spiffeId, more = []) {
			const uid = process.geteuid?.() ?? 0;
			const made = await server([
				...['entry', 'create', '-parentID', NODE, '-spiffeID', spiffeId],
				...['-selector', `unix:uid:${uid}`, ...more],
			]);
			return /^Entry ID\s*: (\S+)/m.exec(made)?.[1] ?? '';
		},
	};
}

const NODE = 'spiffe://example.org/node';

/** What it says goes to the test's output when the test fails. */
function run(
	t: Pick<TestContext, 'after'> & { readonly passed?: boolean },
	file: string,
	words: readonly string[],
): void {
	const child: ChildProcess = spawn(file, words, { stdio: ['ignore', 'pipe', 'pipe'] });
	let said = '';
	for (const stream of [child.stdout, child.stderr])
		stream?.setEncoding('utf8').on('data', (text: string) => {
			said = (said + text).slice(-8000);
		});
	const ended = new Promise<void>(resolve => {
		child.once('error', () => resolve());
		child.once('close', () => resolve());
	});
	t.after(async () => {
		child.kill('SIGKILL');
		await ended;
		if (t.passed === false) process.stderr.write(said);
	});
}

function execute(file: string, words: readonly string[], input: string): Promise<string> {
	return new Promise((resolve, reject) => {
		const child = execFile(file, words, { timeout: 20_000 }, (error, stdout, stderr) => {
			if (error === null) resolve(stdout);
			else reject(new Error(`${file} ${words.join(' ')}: ${stderr || stdout || error.message}`));
		});
		child.stdin?.on('error', () => {});
		child.stdin?.end(input);
	});
}
