import { isIP } from 'node:net';

/** Where a SPIFFE Workload Endpoint is served. */
export type EndpointSocket =
	| { readonly kind: 'unix'; readonly path: string }
	/** IPv6 without brackets. */
	| { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export interface BrokenEndpointSocket {
	readonly broken: string;
}

/**
 * Reads `unix:///absolute/path` or `tcp://IP:port`, the form of `SPIFFE_ENDPOINT_SOCKET` (SPIFFE_Workload_Endpoint.md §4).
 * Nothing else may stand in it, and nothing is decoded.
 */
export function parseEndpointSocket(text: string): EndpointSocket | BrokenEndpointSocket {
	if (/[^\x21-\x7e]|[?#%]/.test(text))
		return { broken: 'it has a query, a fragment, or a character that is not taken' };
	const unix = /^unix:(?:\/\/)?(\/.*)$/.exec(text)?.[1];
	if (unix !== undefined) {
		return unix.startsWith('//') || unix === '/'
			? { broken: 'it names no absolute path, as in unix:///run/spire/agent.sock' }
			: { kind: 'unix', path: unix };
	}
	if (text.startsWith('unix:')) return { broken: 'it names no absolute path, as in unix:///run/spire/agent.sock' };
	const tcp = /^tcp:\/\/(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text);
	if (tcp === null) return { broken: 'expected unix:///PATH or tcp://IP:PORT' };
	const host = tcp[1] ?? tcp[2] ?? '';
	const port = Number(tcp[3]);
	if (isIP(host) !== (tcp[1] === undefined ? 4 : 6)) return { broken: 'its host is no IP address' };
	if (port === 0 || port > 65535) return { broken: 'it has no such port' };
	return { kind: 'tcp', host: host.toLowerCase(), port };
}

/** The one spelling of it. */
export const endpointSocketText = (socket: EndpointSocket): string =>
	socket.kind === 'unix'
		? `unix://${socket.path}`
		: `tcp://${socket.host.includes(':') ? `[${socket.host}]` : socket.host}:${socket.port}`;
