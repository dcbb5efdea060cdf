import type { IdentityConfig } from '../../config/schema.ts';
import { parseEndpointSocket } from '../../formats/endpoint-socket.ts';
import type { Clock } from '../../model/ports.ts';
import type { When } from '../path.ts';
import { SvidFiles } from './files.ts';
import type { SourceNews, SvidSource } from './source.ts';
import { WorkloadApi } from './workload-api.ts';

export type SourceConnection = (connected: boolean, problem: string | undefined) => void;

export interface SourceDeps {
	readonly clock: Clock;
	readonly environment: NodeJS.ProcessEnv;
	when(): When;
	readonly news: SourceNews;
	readonly connection: SourceConnection;
}

/** The source that the configuration names. Throws, in words, when it cannot be found. */
export function openSource(config: IdentityConfig, deps: SourceDeps): SvidSource {
	const { trust_domain: trustDomain, svid } = config;
	if (svid.files !== undefined) return new SvidFiles(svid.files, { ...deps, trustDomain });
	const named = svid.workload_api?.socket;
	const text = named ?? deps.environment['SPIFFE_ENDPOINT_SOCKET'];
	if (text === undefined || text === '') {
		throw new Error(
			'identity: `svid.workload_api` names no `socket`, and the environment variable SPIFFE_ENDPOINT_SOCKET is not set',
		);
	}
	const socket = parseEndpointSocket(text);
	if ('broken' in socket) {
		const where = named === undefined ? 'SPIFFE_ENDPOINT_SOCKET' : 'svid.workload_api.socket';
		throw new Error(`identity: ${where}: ${socket.broken}`);
	}
	return new WorkloadApi(socket, svid.workload_api?.svid, { ...deps, trustDomain });
}
