import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { parseSpiffeId } from '../formats/spiffe-id.ts';
import type { Identity } from '../model/agent.ts';
import { type Refused, refused } from '../model/cause.ts';
import { Handshakes } from './handshake.ts';
import { ServerTls } from './server-tls.ts';
import { openSvid } from './svid.ts';

/** Longest that the trial handshake may take, milliseconds. */
const PATIENCE = 10_000;

/**
 * Tries, before anything listens, that this Node can be relied on: that nothing switched verification off, and that a
 * server gets to see an agent's intermediate certificates (nodejs/node#65579: some releases hide them). It does so by a
 * real handshake in memory, with certificates made for it. Rejects with what is wrong and what to do.
 */
export async function checkRuntime(environment: NodeJS.ProcessEnv): Promise<void> {
	if (environment.NODE_TLS_REJECT_UNAUTHORIZED === '0') {
		throw new Error('NODE_TLS_REJECT_UNAUTHORIZED=0 is set: it switches TLS verification off. Unset it.');
	}
	const judged = await trialHandshake();
	if ('cause' in judged) {
		throw new Error(
			`this Node (${process.version}) cannot judge agents that show an intermediate certificate: ` +
				`${judged.detail ?? judged.cause}. Use Node 24.20.0, which \`npm ci\` installs.`,
		);
	}
}

async function trialHandshake(): Promise<Identity | Refused> {
	// Loaded only here: making certificates is no part of serving.
	const [{ mintCa, mintSvid, LOOPBACK_NAMES }, { certificatesToPem, keyToPem }] = await Promise.all([
		import('./dev-ca.ts'),
		import('./mint.ts'),
	]);
	const id = parseSpiffeId('spiffe://self.test/agent');
	if ('broken' in id) return refused('identity_invalid', id.broken);
	const validity = { now: Date.now(), lifetime: 3_600_000 };
	const root = mintCa(id.trustDomain, validity);
	const issuing = mintCa(id.trustDomain, validity, root);
	const leaf = mintSvid(issuing, id, validity, LOOPBACK_NAMES);
	const material = {
		certificate: certificatesToPem([leaf.certificate, issuing.certificate]),
		key: keyToPem(leaf.key),
		trustBundle: certificatesToPem([root.certificate]),
	};
	const when = { now: validity.now, skew: 0 };
	const svid = openSvid(material, id.trustDomain, when);
	if ('broken' in svid) return refused('identity_invalid', svid.broken);

	const server = createServer(new ServerTls().serverOptions(svid, 'self-test'));
	const [near, far] = duplexPair();
	const signal = AbortSignal.timeout(PATIENCE);
	const secured = once(server, 'secureConnection', { signal });
	server.emit('connection', far);
	const client = connect({
		socket: near,
		ca: material.trustBundle,
		cert: material.certificate,
		key: material.key,
		servername: 'localhost',
	});
	client.on('error', () => {});
	try {
		const [socket]: [TLSSocket] = await secured.then(([first]) => [first]);
		const judged = new Handshakes(svid.trustBundles).identify(socket, when);
		socket.destroy();
		return judged;
	} catch {
		return refused('identity_invalid', 'the trial handshake did not finish');
	} finally {
		client.destroy();
		server.close();
	}
}
