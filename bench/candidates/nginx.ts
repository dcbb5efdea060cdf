import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Candidate, Running, Setting } from '../candidate.ts';
import { accepts, freePort, runningAt, serverEnvironment, startPinned, untilReady } from '../processes.ts';

/** nginx as a terminator of mutual TLS: one process, client certificates verified, session tickets. */
export function nginx(): Candidate {
	return {
		name: 'nginx',
		what: 'mutual TLS in, one process, no log',
		async prepare() {
			const said = spawnSync('nginx', ['-v'], { encoding: 'utf8', env: serverEnvironment() });
			const version = /nginx\/(\S+)/.exec(said.stderr ?? '')?.[1];
			return version === undefined
				? { missing: 'nginx is left out: it is not installed (Debian: nginx).' }
				: { version };
		},
		async start({ certificates, upstreamPort, folder, core }: Setting): Promise<Running> {
			const port = await freePort();
			const log = join(folder, 'log');
			const file = join(folder, 'nginx.conf');
			const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
			for (const place of places) await mkdir(join(folder, place));
			await writeFile(
				file,
				`daemon off;
master_process off;
pid ${join(folder, 'pid')};
error_log stderr warn;
events { worker_connections 4096; }
http {
	access_log off;
${places.map(place => `	${place}_temp_path ${join(folder, place)};`).join('\n')}
	upstream tool { server 127.0.0.1:${upstreamPort}; keepalive 64; }
	server {
		listen 127.0.0.1:${port} ssl;
		ssl_certificate ${certificates.server.certificate};
		ssl_certificate_key ${certificates.server.key};
		ssl_client_certificate ${certificates.ca};
		ssl_verify_client on;
		ssl_protocols TLSv1.2 TLSv1.3;
		location / { proxy_pass http://tool; proxy_http_version 1.1; proxy_set_header Connection ""; }
	}
}
`,
			);
			const child = startPinned(core, ['nginx', '-p', folder, '-e', 'stderr', '-c', file], log, {
				env: serverEnvironment(),
			});
			await untilReady(child, log, () => accepts(port));
			return runningAt(child, port);
		},
	};
}
