import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { listenRaw } from '../support/wire.ts';
import { openStage } from './support-stage.ts';

const BEGUN: Readonly<Record<string, string>> = {
	'by length': 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun',
	'in chunks': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n',
	'in the middle of a chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nbegun',
	'until it closes': 'HTTP/1.1 200 OK\r\n\r\nbegun',
};

test('an upstream that dies in the middle of its answer: the agent sees that it is broken, and the outcome says upstream_reset', async t => {
	let begun = '';
	let die = (): void => {};
	let asked = 0;
	const raw = await listenRaw(t, socket => {
		socket.on('data', () => {
			socket.write(begun);
			die = () => socket.resetAndDestroy();
			asked++;
		});
	});
	const stage = await openStage(t, {
		upstreams: { raw: { address: raw.address, hosts: ['raw.test'], protocol: 'http' } },
	});
	const url = `http://raw.test:${raw.port}/`;
	let outcomes = 0;
	for (const [name, text] of Object.entries(BEGUN)) {
		begun = text;
		const wire = await stage.wire();
		wire.send(`GET ${url} HTTP/1.1\r\nHost: raw.test:${raw.port}\r\n\r\n`);
		await wire.receives('begun');
		die();
		const all = await wire.closed();
		assert.doesNotMatch(all, /\r\n0\r\n\r\n$/, `${name}: no end that looks good`);
		assert.equal(all.match(/^HTTP\/1\.1 /gm)?.length, 1, `${name}: one answer`);
		const outcome = await stage.outcome(++outcomes);
		assert.equal(outcome.cause, 'upstream_reset', name);
		assert.equal(outcome['status'], 200, name);
	}
	// Before its answer began: in words.
	begun = '';
	asked = 0;
	const call = stage.curl([url]);
	await until(() => asked === 1, 'the upstream is asked');
	die();
	const { status, json } = await call;
	assert.equal(status, 502);
	assert.equal(json()['cause'], 'upstream_reset');
	await stage.good('all of them');
	await stage.quiet();
});

test('an upstream that dies in the middle of the upload: the agent is told, and the next call works', async t => {
	const raw = await listenRaw(t, socket => {
		let got = 0;
		socket.on('data', (chunk: Buffer) => {
			got += chunk.length;
			if (got > 200_000) socket.resetAndDestroy();
		});
	});
	const stage = await openStage(t, {
		upstreams: { raw: { address: raw.address, hosts: ['raw.test'], protocol: 'http' } },
	});
	const call = await stage.curl(['-T', '-', `http://raw.test:${raw.port}/`], { input: 'x'.repeat(8 * 1024 * 1024) });
	assert.equal(call.status, 502, call.error);
	assert.equal(call.json()['cause'], 'upstream_reset');
	assert.equal((await stage.outcome()).cause, 'upstream_reset');
	await stage.good('it');
	await stage.quiet();
});

test('an upstream that answers before the upload is over and closes: the agent gets the answer', async t => {
	const raw = await listenRaw(t, socket => {
		socket.once('data', () => {
			socket.end('HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\nConnection: close\r\n\r\ntoo much');
			socket.resume();
		});
	});
	const stage = await openStage(t, {
		upstreams: { raw: { address: raw.address, hosts: ['raw.test'], protocol: 'http' } },
	});
	const call = await stage.curl(['-T', '-', `http://raw.test:${raw.port}/`], { input: 'x'.repeat(8 * 1024 * 1024) });
	assert.equal(call.status, 413, call.error);
	assert.equal(call.body, 'too much');
	const outcome = await stage.outcome();
	assert.equal(outcome['status'], 413);
	await stage.good('it');
	await stage.quiet();
});
