import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GOOD } from '../config/fixture.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { sallyport } from './run.ts';

test('a good configuration: said so, status 0', async t => {
	const file = makeWorkspace(t).write('sallyport.yaml', GOOD);
	const { code, out, err } = await sallyport(['config', 'check', '--config', file]);
	assert.deepEqual({ code, out, err }, { code: 0, out: `${file}: good\n`, err: '' });
});

test('what may not be meant is warned of, and the status is 0', async t => {
	const upstream = 'address: crm.internal:80, protocol: http';
	const entry = '{ agents: ["spiffe://example.org/**"], bearer: held }';
	const text = `${GOOD}upstreams:\n  crm: { ${upstream}, credentials: [${entry}] }\n`;
	const file = makeWorkspace(t).write('sallyport.yaml', text);
	const { code, out, err } = await sallyport(['config', 'check', '--config', file]);
	assert.deepEqual({ code, out }, { code: 0, out: `${file}: good\n` });
	assert.match(err, /^warning: .*:12:\d+ {2}upstreams\.crm\.credentials: travel in the clear/);
	const json = await sallyport(['config', 'check', '--config', file, '--json']);
	assert.equal(json.code, 0);
	const { ok, warnings } = JSON.parse(json.out) as { ok: boolean; warnings: { path: string }[] };
	assert.equal(ok, true);
	assert.deepEqual(
		warnings.map(({ path }) => path),
		['upstreams.crm.credentials'],
	);
	assert.doesNotMatch(out + err + json.out, /held/);
});

test('every problem with file, line, column and path, status 2', async t => {
	const workspace = makeWorkspace(t);
	workspace.write('sallyport.yaml', `${GOOD}polices: {}\nlog: { level: loud }\n`);
	const { code, out, err } = await sallyport(['config', 'check'], { cwd: workspace.directory });
	assert.equal(code, 2);
	assert.equal(out, '');
	assert.deepEqual(err.trimEnd().split('\n').sort(), [
		'sallyport.yaml:11:10  polices: is not a key that Sallyport knows',
		'sallyport.yaml:12:15  log.level: expected "debug" or "info" or "warn" or "error"',
	]);
});

test('the same as JSON', async t => {
	const file = makeWorkspace(t).write('sallyport.yaml', `${GOOD}polices: {}\n`);
	const { code, out } = await sallyport(['config', 'check', '--config', file, '--json']);
	assert.equal(code, 2);
	assert.deepEqual(JSON.parse(out), {
		file,
		ok: false,
		problems: [{ line: 11, column: 10, path: 'polices', message: 'is not a key that Sallyport knows' }],
	});
});

test('text of a file cannot drive a terminal', async t => {
	const file = makeWorkspace(t).write('sallyport.yaml', `${GOOD}"a\\e[2Jb": 1\n`);
	const { err } = await sallyport(['config', 'check', '--config', file]);
	assert.match(err, /a\\u001b\[2Jb/);
	assert.ok(!err.includes('\u001b'));
});
