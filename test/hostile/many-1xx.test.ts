import { test } from 'node:test';
import { startSallyport } from '../support/sallyport.ts';
import { listenRaw, openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('interim answers do not put off limits.answer', async t => {
	const workspace = makeWorkspace(t);
	const bad = await listenRaw(t, s => {
		s.on('data', () => {
			const i = setInterval(() => {
				if (s.destroyed) clearInterval(i);
				else s.write('HTTP/1.1 102 P\r\n\r\n');
			}, 200);
			s.on('close', () => clearInterval(i));
		});
	});
	const sallyport = await startSallyport(t, workspace, {
		config: {
			upstreams: { bad: { address: bad.address, hosts: ['bad.internal'], protocol: 'http' } },
			limits: { answer: '1s', body_idle: '1s' },
		},
	});
	const wire = await openWire(t, sallyport.address('egress'), { agent: workspace.agent('a') });
	wire.send(`GET http://bad.internal:${bad.port}/ HTTP/1.1\r\nHost: bad.internal:${bad.port}\r\n\r\n`);
	await wire.receives(/^HTTP\/1\.1 504 /);
});
