import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listenRaw } from '../support/wire.ts';
import { openStage } from './support-stage.ts';

test('103 is passed on before the answer; other informational answers are left out', async t => {
	let goOn = (): void => {};
	const raw = await listenRaw(t, socket => {
		socket.on('data', () => {
			socket.write('HTTP/1.1 102 Processing\r\n\r\n');
			socket.write('HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\nX-Secret: no\r\n\r\n');
			goOn = () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nLink: </style.css>; rel=preload\r\n\r\nok');
		});
	});
	const stage = await openStage(t, {
		upstreams: { raw: { address: raw.address, hosts: ['raw.test'], protocol: 'http' } },
	});
	const wire = await stage.wire();
	wire.send(`GET http://raw.test:${raw.port}/ HTTP/1.1\r\nHost: raw.test:${raw.port}\r\n\r\n`);
	const hints = await wire.receives('\r\n\r\n');
	assert.match(hints, /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/style\.css>; rel=preload; as=style\r\n\r\n$/);
	goOn();
	const answer = (await wire.receives(/ok$/)).slice(hints.length);
	assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
	const outcome = await stage.outcome();
	assert.equal(outcome['status'], 200);
	await stage.quiet();
});
