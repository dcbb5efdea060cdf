import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyOf } from '../support/sallyport.ts';
import { openStage, type Stage } from './support-stage.ts';

interface Sent {
	readonly name: string;
	readonly body: string | Buffer;
	readonly type?: string;
	readonly encoding?: string;
	/** What policy sees of it. */
	readonly state: 'whole' | 'none' | 'too_large' | 'unparsed' | 'encoded';
}

const deep = '['.repeat(5000) + ']'.repeat(5000);

const SENT: readonly Sent[] = [
	{ name: 'JSON', body: '{"amount": 10}', state: 'whole' },
	{
		name: 'JSON of another type',
		body: '{"amount": 10}',
		type: 'application/problem+json; charset=UTF-8',
		state: 'whole',
	},
	{ name: 'nothing', body: '', state: 'none' },
	{ name: 'too much', body: `{"amount": 10, "x": "${'y'.repeat(5000)}"}`, state: 'too_large' },
	{ name: 'no JSON', body: 'amount=10', state: 'unparsed' },
	{ name: 'JSON that says it is text', body: '{"amount": 10}', type: 'text/plain', state: 'unparsed' },
	{ name: 'JSON of no type', body: '{"amount": 10}', type: '', state: 'unparsed' },
	{
		name: 'JSON in another charset',
		body: '{"amount": 10}',
		type: 'application/json; charset=utf-7',
		state: 'unparsed',
	},
	{ name: 'an encoding', body: '{"amount": 10}', encoding: 'gzip', state: 'encoded' },
	{ name: 'two encodings', body: '{"amount": 10}', encoding: 'identity, br', state: 'encoded' },
	{ name: 'no encoding', body: '{"amount": 10}', encoding: 'identity', state: 'whole' },
	{ name: 'duplicate keys', body: '{"amount": 10, "amount": 999}', state: 'unparsed' },
	{ name: 'duplicate keys by escapes', body: '{"amount": 10, "am\\u006funt": 999}', state: 'unparsed' },
	{ name: 'deep nesting', body: deep.slice(0, 2000) + deep.slice(-2000), state: 'unparsed' },
	{ name: 'invalid UTF-8', body: Buffer.from('{"amount": 10, "x": "\xff"}', 'latin1'), state: 'unparsed' },
	{ name: 'an overlong form', body: Buffer.from('{"amount": 10, "x": "\xc0\xaf"}', 'latin1'), state: 'unparsed' },
	{ name: 'half a surrogate pair', body: '{"amount": 10, "x": "\\ud800"}', state: 'unparsed' },
	{ name: 'a byte order mark', body: '\ufeff{"amount": 10}', state: 'unparsed' },
	{ name: 'two values', body: '{"amount": 10}{"amount": 999}', state: 'unparsed' },
	{ name: 'a comment', body: '{"amount": 10 /* 999 */}', state: 'unparsed' },
	{ name: 'a trailing comma', body: '{"amount": 10,}', state: 'unparsed' },
	{ name: 'a number beyond double precision', body: '{"amount": 1e999}', state: 'unparsed' },
	{ name: 'NaN', body: '{"amount": NaN}', state: 'unparsed' },
];

const send = async (
	stage: Stage,
	{ body, type = 'application/json', encoding }: Sent,
	chunked: boolean,
): Promise<string> => {
	const wire = await stage.wire();
	const bytes = Buffer.from(body);
	const head = [
		chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${bytes.length}`,
		...(type === '' ? [] : [`Content-Type: ${type}`]),
		...(encoding === undefined ? [] : [`Content-Encoding: ${encoding}`]),
		'Connection: close',
	].join('\r\n');
	wire.send(stage.request('POST', '/pay', head));
	if (!chunked) wire.send(bytes);
	else {
		if (bytes.length > 0)
			wire.send(Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]));
		wire.send('0\r\n\r\n');
	}
	return wire.closed();
};

test('a policy that reads the body and does not look at its state gets it whole, or the call is refused', async t => {
	const stage = await openStage(t, {
		limits: { body: '4KiB' },
		policy: policyOf('allow := true\ndeny contains "too much" if input.http.body.amount > 100'),
	});
	for (const chunked of [false, true]) {
		for (const sent of SENT) {
			const name = `${sent.name}${chunked ? ', in chunks' : ''}`;
			const before = stage.tool.seen.length;
			const answer = await send(stage, sent, chunked);
			const readable = sent.state === 'whole' || sent.state === 'none';
			if (readable) {
				assert.match(answer, /^HTTP\/1\.1 200 /, name);
				assert.deepEqual(stage.tool.seen.at(-1)?.body(), Buffer.from(sent.body), name);
			} else assert.match(answer, /^HTTP\/1\.1 403 Forbidden body_unreadable /, name);
			assert.equal(stage.tool.seen.length, before + (readable ? 1 : 0), name);
		}
	}
	assert.match(
		await send(stage, { name: 'denied', body: '{"amount": 101}', state: 'whole' }, false),
		/^HTTP\/1\.1 403 Forbidden denied_by_rule /,
	);
	await stage.good('all of them');
	await stage.quiet();
});

test('a policy that looks at the state is given it, and what it allows arrives byte for byte', async t => {
	const stage = await openStage(t, {
		limits: { body: '4KiB' },
		policy: policyOf(
			'allow if input.http.headers["x-state"] == input.http.body_state\nallow if input.http.path == "/good"\ndeny contains "too much" if input.http.body.amount > 100',
		),
	});
	for (const chunked of [false, true]) {
		for (const sent of SENT) {
			const type = `${sent.type ?? 'application/json'}\r\nX-State: ${sent.state}`;
			const answer = await send(
				stage,
				sent.type === '' ? { ...sent, encoding: `identity\r\nX-State: ${sent.state}` } : { ...sent, type },
				chunked,
			);
			assert.match(answer, /^HTTP\/1\.1 200 /, `${sent.name}${chunked ? ', in chunks' : ''}`);
			assert.deepEqual(stage.tool.seen.at(-1)?.body(), Buffer.from(sent.body), sent.name);
		}
	}
	await stage.good('all of them');
	await stage.quiet();
});

test('numbers and escapes reach policy and upstream as they were sent; a number that a double cannot hold is not shown to policy', async t => {
	const stage = await openStage(t, { policy: policyOf('allow if input.http.body.id == 9007199254740992') });
	const body =
		'{ "id": 9007199254740992, "f": 1.10, "e": 1E2, "s": "\\u0041\\/", "z": -0, "n": 100000000000000000000 }';
	const answer = await send(stage, { name: 'numbers', body, state: 'whole' }, false);
	assert.match(answer, /^HTTP\/1\.1 200 /);
	assert.equal(stage.tool.seen[0]?.body().toString(), body);
	// To a double these are the same number; to the upstream they may not be.
	const near = await send(
		stage,
		{ name: 'the next one', body: body.replace('740992', '740993'), state: 'unparsed' },
		false,
	);
	assert.match(near, /^HTTP\/1\.1 403 Forbidden body_unreadable /);
	assert.equal(stage.tool.seen.length, 1);
	await stage.quiet();
});
