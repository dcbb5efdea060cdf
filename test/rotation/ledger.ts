import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import type { Mount } from './mount.ts';

/** An upstream that shows an SVID and demands one, both by what is in force. */
export async function startLedger(t: Pick<TestContext, 'after'>, mount: Mount) {
	const context = () => ({ ...mount.tls('ledger'), requestCert: true, rejectUnauthorized: true });
	const server = createServer(context(), (request, response) => {
		const names = (request.socket as TLSSocket).getPeerX509Certificate()?.subjectAltName ?? '';
		response.statusCode = names.includes('URI:spiffe://example.org/sallyport') ? 200 : 403;
		response.end('booked');
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	t.after(() => {
		server.closeAllConnections();
		server.close();
	});
	const { port } = server.address() as AddressInfo;
	return {
		port,
		address: `127.0.0.1:${port}`,
		/** From now on it shows and takes what the mount has. */
		renew: () => server.setSecureContext(context()),
	};
}
