import { connect as connectTcp, isIP, type Socket } from 'node:net';
import type { buildConnector } from 'undici';
import { connectTls } from './tls-client.ts';

export interface ConnectorOptions {
	/** Whether it is TLS. */
	readonly tls: boolean;
	/** PEM CAs that the server's certificate is judged by; the system's roots when absent. */
	readonly ca?: string | undefined;
	/** PEM of what is shown as the client certificate. */
	readonly client?: { readonly cert: string; readonly key: string } | undefined;
	/** For the connection, milliseconds. */
	readonly patience: number;
}

/** How undici's Client connects: over a connection that no certificate of the server's can end the process by. */
export const connectorOf =
	({ tls, ca, client, patience }: ConnectorOptions): buildConnector.connector =>
	({ hostname, port, servername }, done) => {
		const host = hostname.replace(/^\[|\]$/g, '');
		let socket: Socket;
		try {
			socket = tls
				? connectTls({
						host,
						port: Number(port || 443),
						// A name only (RFC 6066 §3); an address is checked against the certificate all the same.
						servername: isIP(host) === 0 ? (servername ?? host) : '',
						minVersion: 'TLSv1.2',
						ALPNProtocols: ['http/1.1'],
						...(ca === undefined ? {} : { ca }),
						...client,
					})
				: connectTcp({ host, port: Number(port || 80) });
		} catch (error) {
			// PEM that is none.
			done(error instanceof Error ? error : new Error('TLS'), null);
			return;
		}
		const failed = (error: Error): void => done(error, null);
		socket.once('error', failed);
		// Whoever asked has gone by then.
		socket.setTimeout(patience, () => socket.destroy());
		socket.once(tls ? 'secureConnect' : 'connect', () => {
			socket.setTimeout(0);
			socket.removeListener('error', failed);
			done(null, socket);
		});
	};
