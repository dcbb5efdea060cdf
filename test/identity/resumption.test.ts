import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Handshakes } from '../../src/identity/handshake.ts';
import { keyToPem } from '../../src/identity/mint.ts';
import { ServerTls } from '../../src/identity/server-tls.ts';
import { AGENT, bundleOf, bundlesOf, ca, HOUR, leaf, NOW, pem, sallyport, show, trialServer, visit } from './pki.ts';

/** A resumed session brings the leaf and nothing else; it is judged again all the same. */

const root = ca('root');
const issuing = ca('issuing', {}, { issuer: root });
const svid = sallyport(root);

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
	const only = { ca: pem(root), minVersion: version, maxVersion: version };

	for (const [name, agent, chain] of [
		['straight from the root', leaf(root), []],
		['over an intermediate', leaf(issuing), [issuing]],
	] as const) {
		test(`${version}: a resumed session ${name} is the same agent, until it expires`, async t => {
			let now = NOW;
			const server = await trialServer(t, svid, { when: () => ({ now, skew: 0 }) });
			const shown = { ...only, cert: pem(agent, ...chain), key: keyToPem(agent.key) };
			const [first, { session }] = await Promise.all([server.next(), visit(server.port, shown)]);
			assert.equal(show(first), AGENT);
			assert.equal(first.resumed, false);
			assert.ok(session);

			const [again, { session: renewed }] = await Promise.all([
				server.next(),
				visit(server.port, { ...shown, session }),
			]);
			assert.equal(again.resumed, true);
			assert.equal(show(again), AGENT);

			now = NOW + 2 * HOUR;
			const [late] = await Promise.all([server.next(), visit(server.port, { ...shown, session: renewed ?? session })]);
			assert.equal(late.resumed, true);
			assert.match(show(late), /^identity_expired/);
		});
	}

	test(`${version}: a session that was refused is refused when it is resumed`, async t => {
		const server = await trialServer(t, svid);
		const agent = leaf(ca('other'));
		const shown = { ...only, cert: pem(agent), key: keyToPem(agent.key) };
		const [first, { session }] = await Promise.all([server.next(), visit(server.port, shown)]);
		assert.match(show(first), /^identity_invalid/);
		assert.ok(session);
		const [again] = await Promise.all([server.next(), visit(server.port, { ...shown, session })]);
		assert.match(show(again), /^identity_invalid/);
	});

	test(`${version}: a resumed session whose intermediates nobody remembers is refused`, async t => {
		let current = new Handshakes(svid.trustBundles);
		const handshakes = new (class extends Handshakes {
			override identify(...args: Parameters<Handshakes['identify']>) {
				return current.identify(...args);
			}
		})(svid.trustBundles);
		const server = await trialServer(t, svid, { handshakes });
		const agent = leaf(issuing);
		const shown = { ...only, cert: pem(agent, issuing), key: keyToPem(agent.key) };
		const [, { session }] = await Promise.all([server.next(), visit(server.port, shown)]);
		assert.ok(session);
		current = new Handshakes(svid.trustBundles);
		const [again] = await Promise.all([server.next(), visit(server.port, { ...shown, session })]);
		assert.equal(again.resumed, true);
		assert.match(show(again), /^identity_invalid/);
	});

	test(`${version}: after the trust bundle changed nothing is resumed, and the new bundle judges`, async t => {
		const bundles = bundlesOf(bundleOf('example.org', ca('new root')));
		let current = new Handshakes(svid.trustBundles);
		const handshakes = new (class extends Handshakes {
			override identify(...args: Parameters<Handshakes['identify']>) {
				return current.identify(...args);
			}
		})(svid.trustBundles);
		const server = await trialServer(t, svid, { handshakes });
		const tls = new ServerTls();
		server.server.setSecureContext(tls.contextOptions(svid, 'trial'));
		const agent = leaf(issuing);
		const shown = { ...only, cert: pem(agent, issuing), key: keyToPem(agent.key) };
		const [first, { session }] = await Promise.all([server.next(), visit(server.port, shown)]);
		assert.equal(show(first), AGENT);
		assert.ok(session);

		// Another SVID under the same trust bundle: tickets stay good.
		server.server.setSecureContext(
			tls.contextOptions({ ...sallyport(root), trustRevision: svid.trustRevision }, 'trial'),
		);
		const [same] = await Promise.all([server.next(), visit(server.port, { ...shown, session })]);
		assert.deepEqual([same.resumed, show(same)], [true, AGENT]);

		current = new Handshakes(bundles);
		server.server.setSecureContext(
			tls.contextOptions({ ...svid, trustBundles: bundles, trustRevision: 'new' }, 'trial'),
		);
		const [after] = await Promise.all([server.next(), visit(server.port, { ...shown, session })]);
		assert.equal(after.resumed, false);
		assert.match(show(after), /^identity_invalid/);
	});

	test(`${version}: a ticket of one listener is worth nothing on another`, async t => {
		const tls = new ServerTls();
		const [one, two] = [await trialServer(t, svid), await trialServer(t, svid)];
		one.server.setSecureContext(tls.contextOptions(svid, 'one'));
		two.server.setSecureContext(tls.contextOptions(svid, 'two'));
		const agent = leaf(root);
		const shown = { ...only, cert: pem(agent), key: keyToPem(agent.key) };
		const [, { session }] = await Promise.all([one.next(), visit(one.port, shown)]);
		assert.ok(session);
		const [seen] = await Promise.all([two.next(), visit(two.port, { ...shown, session })]);
		assert.deepEqual([seen.resumed, show(seen)], [false, AGENT]);
	});
}
