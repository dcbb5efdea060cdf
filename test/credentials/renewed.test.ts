import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jwtSvidSource } from '../../src/identity/credentials/jwt-svid.ts';
import { type Fetched, RenewedValue } from '../../src/identity/credentials/renewed.ts';
import { until } from '../support/until.ts';

const clock = { now: () => Date.now() };

/** A value of a source that does what it is told. */
function opened(fetch: (n: number) => Promise<Fetched | { broken: string }>) {
	let asked = 0;
	let news = 0;
	const value = new RenewedValue(
		{ kind: 'command', from: 'vault', fetch: () => fetch(++asked) },
		{ clock, news: () => news++ },
	);
	return { value, asked: () => asked, news: () => news };
}

const good = (n: number, life: number): Fetched => {
	const now = Date.now();
	return { text: `value-${n}`, expires: now + life, renew: now + life * 0.5 };
};

test('there is a value at every moment, while the source is slow and each lives but a moment', async t => {
	const { value } = opened(async n => {
		await new Promise(resolve => setTimeout(resolve, n === 1 ? 0 : 100));
		return good(n, 1000);
	});
	t.after(() => value.close());
	await value.start();
	const seen = new Set<string | undefined>();
	await until(() => {
		seen.add(value.current());
		return seen.size > 4;
	}, 'five values');
	assert.equal(seen.has(undefined), false);
});

test('a failure leaves the value before in use until its end, is told once, and told again when nothing is left', async t => {
	const { value, news, asked } = opened(async n => (n === 1 ? good(n, 1500) : { broken: 'down' }));
	t.after(() => value.close());
	await value.start();
	assert.equal(value.current(), 'value-1');
	await until(() => value.state().problem === 'down', 'the failure');
	assert.equal(value.current(), 'value-1');
	assert.equal(news(), 2);
	await until(() => value.current() === undefined, 'its end');
	await until(() => news() === 3, 'it is told');
	assert.ok(asked() <= 4, `${asked()} attempts`);
});

test('a reload tries what failed at once, and leaves the rest alone', async t => {
	const { value, asked } = opened(async n => (n === 1 ? { broken: 'down' } : good(n, 60_000)));
	t.after(() => value.close());
	await value.start();
	assert.equal(value.current(), undefined);
	await value.refresh();
	assert.equal(value.current(), 'value-2');
	assert.equal(value.state().problem, undefined);
	await value.refresh();
	assert.equal(asked(), 2);
});

test('after it was closed or forgotten, what was under way is not taken', async () => {
	let give = (_: Fetched): void => {};
	const { value, news } = opened(
		n =>
			new Promise(resolve => {
				if (n === 2) resolve(good(2, 60_000));
				else give = resolve;
			}),
	);
	const first = value.start();
	await value.forget();
	assert.equal(value.current(), 'value-2');
	give(good(1, 60_000));
	await first;
	assert.equal(value.current(), 'value-2');
	assert.equal(news(), 1);
	value.close();
});

test('a JWT-SVID is asked for again after half its life, and soon while the one before is handed out still', async () => {
	let token = 'a';
	const now = Date.now();
	const source = jwtSvidSource('crm', async () => ({ token, expires: now + 300_000 }), { now: () => now });
	const { signal } = new AbortController();
	const first = await source.fetch(signal);
	assert.ok('text' in first);
	assert.deepEqual(first, { text: 'a', expires: now + 290_000, renew: now + 165_000 });
	const again = await source.fetch(signal);
	assert.ok('text' in again);
	assert.equal(again.renew, now + 1000);
	token = 'b';
	const second = await source.fetch(signal);
	assert.ok('text' in second);
	assert.equal(second.renew, now + 165_000);
});

test('what is over when it comes is a failure: the next look waits longer each time', async t => {
	const { value, asked } = opened(async n => ({ ...good(n, 0), expires: Date.now() - 1 }));
	t.after(() => value.close());
	await value.start();
	assert.equal(value.current(), undefined);
	assert.match(value.state().problem ?? '', /over before/);
	// Without it there would be four a second.
	await until(() => asked() === 2, 'the next look');
	const since = performance.now();
	await until(() => asked() === 3, 'the one after that');
	assert.ok(performance.now() - since > 750, 'it waits');
});
