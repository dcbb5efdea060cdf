import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { arrayOf, Packing } from '../../src/audit/sinks/remote/packing.ts';

const LIMIT = 32 * 1024;

/** Packs everything; the bodies' sizes, and what is in them. */
async function packed(lines: readonly string[], packing = new Packing(LIMIT, arrayOf)) {
	const bytes = Buffer.from(lines.map(line => `${line}\n`).join(''));
	const bodies: number[] = [];
	const found: string[] = [];
	for (let at = 0; at < bytes.length; ) {
		const { body, end, count } = await packing.pack(bytes, at);
		const elements = JSON.parse(gunzipSync(body).toString()) as unknown[];
		assert.equal(elements.length, count);
		assert.ok(end > at);
		found.push(...elements.map(element => JSON.stringify(element)));
		bodies.push(body.length);
		at = end;
	}
	return { bodies, found };
}

const record = (text: string): string => JSON.stringify({ type: 'decision', text });

test('bodies stay within the limit and use it, whatever records compress to', async () => {
	const alike = Array.from({ length: 4000 }, (_, at) => record(`call ${at} of an agent to crm.internal`));
	const unlike = Array.from({ length: 200 }, () => record(randomBytes(600).toString('base64')));
	for (const lines of [alike, unlike, [...alike, ...unlike, ...alike]]) {
		const { bodies, found } = await packed(lines);
		assert.deepEqual(found, lines);
		assert.ok(bodies.every(size => size <= LIMIT));
		const whole = bodies.reduce((sum, size) => sum + size, 0);
		assert.ok(bodies.length <= Math.ceil((whole / LIMIT) * 2) + 2, `${bodies.length} bodies for ${whole} bytes`);
	}
});

test('a record that is larger than the limit goes alone, and those around it do not suffer', async () => {
	const large = record(randomBytes(60_000).toString('base64'));
	const lines = [record('a'), record('b'), large, record('c'), record('d')];
	const { bodies, found } = await packed(lines);
	assert.deepEqual(found, lines);
	assert.equal(bodies.filter(size => size > LIMIT).length, 1);
	assert.ok(bodies.length <= 4);
});
