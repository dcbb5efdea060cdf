import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findEnvoy } from '../cache.ts';
import type { Candidate, Running, Setting } from '../candidate.ts';
import { answers, freePort, runningAt, startPinned, untilReady } from '../processes.ts';

/** Envoy as it is set up for this job without any policy: mutual TLS in, plain HTTP/1.1 out, one worker. */
export function envoy(): Candidate {
	let program = '';
	return {
		name: 'envoy',
		what: 'mutual TLS in, no policy, no access log, concurrency 1',
		async prepare() {
			const found = findEnvoy();
			if ('missing' in found) return found;
			program = found.path;
			const said = spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout;
			return { version: /\/(\d+\.\d+\.\d+)\//.exec(said)?.[1] ?? said.trim() };
		},
		async start(setting: Setting): Promise<Running> {
			const port = await freePort();
			const admin = await freePort();
			const log = join(setting.folder, 'log');
			const file = join(setting.folder, 'envoy.json');
			await writeFile(file, JSON.stringify(configuration(setting, port, admin)));
			const flags = ['-c', file, '--concurrency', '1', '--disable-hot-restart', '-l', 'warn'];
			const child = startPinned(setting.core, [program, ...flags], log);
			await untilReady(child, log, () => answers(`http://127.0.0.1:${admin}/ready`));
			return runningAt(child, port);
		},
	};
}

const TYPE = 'type.googleapis.com/envoy.extensions';
const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });

function configuration({ certificates, upstreamPort }: Setting, port: number, admin: number): unknown {
	const tls = {
		'@type': `${TYPE}.transport_sockets.tls.v3.DownstreamTlsContext`,
		require_client_certificate: true,
		common_tls_context: {
			tls_certificates: [
				{
					certificate_chain: { filename: certificates.server.certificate },
					private_key: { filename: certificates.server.key },
				},
			],
			validation_context: { trusted_ca: { filename: certificates.ca } },
		},
	};
	const http = {
		'@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
		stat_prefix: 'bench',
		codec_type: 'HTTP1',
		route_config: {
			virtual_hosts: [
				{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'upstream' } }] },
			],
		},
		http_filters: [{ name: 'router', typed_config: { '@type': `${TYPE}.filters.http.router.v3.Router` } }],
	};
	return {
		admin: { address: address(admin) },
		static_resources: {
			listeners: [
				{
					name: 'agents',
					address: address(port),
					filter_chains: [
						{
							transport_socket: { name: 'tls', typed_config: tls },
							filters: [{ name: 'http', typed_config: http }],
						},
					],
				},
			],
			clusters: [
				{
					name: 'upstream',
					type: 'STATIC',
					connect_timeout: '5s',
					load_assignment: {
						cluster_name: 'upstream',
						endpoints: [{ lb_endpoints: [{ endpoint: { address: address(upstreamPort) } }] }],
					},
				},
			],
		},
	};
}
