import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Candidate, Running, Setting } from '../candidate.ts';
import { accepts, freePort, runningAt, serverEnvironment, startPinned, untilReady } from '../processes.ts';

/** haproxy as a terminator of mutual TLS: one thread, client certificates verified, session tickets. */
export function haproxy(): Candidate {
	return {
		name: 'haproxy',
		what: 'mutual TLS in, one thread, no log',
		async prepare() {
			const said = spawnSync('haproxy', ['-v'], { encoding: 'utf8', env: serverEnvironment() });
			const version = /version (\S+)/.exec(said.stdout ?? '')?.[1];
			return version === undefined
				? { missing: 'haproxy is left out: it is not installed (Debian: haproxy).' }
				: { version };
		},
		async start({ certificates, upstreamPort, folder, core }: Setting): Promise<Running> {
			const port = await freePort();
			const log = join(folder, 'log');
			const pem = join(folder, 'server.pem');
			const { certificate, key } = certificates.server;
			await writeFile(pem, `${await readFile(certificate, 'utf8')}${await readFile(key, 'utf8')}`);
			const file = join(folder, 'haproxy.cfg');
			await writeFile(
				file,
				`global
	nbthread 1
	maxconn 4096
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend agents
	bind 127.0.0.1:${port} ssl crt ${pem} ca-file ${certificates.ca} verify required
	default_backend upstream
backend upstream
	server one 127.0.0.1:${upstreamPort}
`,
			);
			const child = startPinned(core, ['haproxy', '-db', '-f', file], log, { env: serverEnvironment() });
			await untilReady(child, log, () => accepts(port));
			return runningAt(child, port);
		},
	};
}
