import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStage } from '../http/support-stage.ts';
import { AUDIENCE, ecKey, jwt, jwtBundle, seconds } from '../support/jwt.ts';
import { until } from '../support/until.ts';
import { openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

for (const mode of ['close', 'close_idle'] as const) {
	test(`with \`${mode}\` the JWT-SVID shown last is what a connection and its call end with`, async t => {
		const workspace = makeWorkspace(t);
		const key = ecKey();
		workspace.write('keys.json', jwtBundle({ k: key }));
		let finish = (): void => {};
		let upstreamClosed = false;
		const stage = await openStage(t, {
			workspace,
			limits: { on_expiry: mode },
			listeners: [
				{
					name: 'door',
					address: '127.0.0.1:0',
					upstream: 'tool',
					authenticate: { jwt_svid: { audience: [AUDIENCE] } },
				},
			],
			config: {
				identity: {
					trust_domain: 'example.org',
					svid: {
						files: {
							certificate: 'certs/sallyport.pem',
							key: 'certs/sallyport.key',
							trust_bundle: 'certs/ca.pem',
							jwt_bundle: 'keys.json',
						},
					},
				},
			},
			tool: {
				answer: ({ url }, response) => {
					if (url !== '/slow') {
						response.end('whole');
						return;
					}
					response.writeHead(200, { 'content-length': '8' });
					response.write('half');
					finish = () => response.end('done');
					response.on('close', () => {
						upstreamClosed = true;
					});
				},
			},
		});
		const exp = seconds(3);
		const short = jwt({ key, claims: { exp } });
		const ask = (path: string, token: string): string =>
			`GET ${path} HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer ${token}\r\n\r\n`;
		const connect = () => openWire(t, stage.sallyport.address('door'));
		const [idle, fresh, busy] = [await connect(), await connect(), await connect()];
		idle.send(ask('/', short));
		await idle.receives('whole');
		fresh.send(ask('/', short));
		await fresh.receives('whole');
		fresh.send(ask('/', jwt({ key })));
		await until(() => fresh.text().split('whole').length === 3, 'the second answer');
		busy.send(ask('/slow', short));
		await busy.receives('half');

		const answered = await idle.closed();
		assert.ok(Date.now() >= exp * 1000, 'not before');
		assert.doesNotMatch(answered, /connection: close/i, 'the next request could show another one');
		if (mode === 'close_idle') {
			finish();
			assert.match(await busy.closed(), /halfdone$/);
		} else {
			assert.match(await busy.closed(), /half$/);
			await until(() => upstreamClosed, 'the upstream is told');
		}
		assert.equal((await stage.outcome(4)).cause, mode === 'close' ? 'session_expired' : 'completed');
		fresh.send(ask('/', jwt({ key })));
		await until(() => fresh.text().split('whole').length === 4, 'who shows another one goes on');
		await stage.quiet();
	});
}
