import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { configOf, decision, depsOf, linesOf, opened, recorded, recordsOf, temporary } from '../audit/fixture.ts';
import { until } from '../audit/until.ts';
import { type Central, startCentral } from './central.ts';

async function stage(t: TestContext, central: Central) {
	const directory = await temporary(t);
	const settings = {
		url: central.url,
		present_svid: false,
		batch: { bytes: 32 * 1024, age: 0 },
		rate: 2 ** 30,
		timeout: 5000,
	};
	let refused = 0;
	const add = (count: number): void => {
		refused += count;
	};
	const metrics = { ...depsOf().metrics, refused: (_: string, count: number) => add(count) };
	const audit = await opened(t, configOf(directory, { sinks: [{ http: settings }] }), depsOf({ metrics }));
	const some = async (...names: string[]): Promise<void> => {
		await Promise.all(names.map(name => recorded(audit, decision(name))));
	};
	return { directory, audit, some, refused: () => refused };
}

const isPoison = (line: string): boolean => line.includes('poison');

for (const status of [400, 413, 422]) {
	test(`${status}: the record that is refused is found, told in the chain, and holds up nothing`, async t => {
		const central = await startCentral(t);
		central.answer(lines => ({ status: lines.some(isPoison) ? status : 200 }));
		const { directory, audit, some, refused } = await stage(t, central);
		await some('a', 'b', 'poison-1', 'c', 'd', 'e', 'poison-2');
		await until(() => audit.status().sinks[0]?.behind === 0);
		assert.equal(refused(), 2);
		assert.equal(audit.status().sinks[0]?.refused, 2);
		const chain = await recordsOf(directory);
		const seqs = chain.filter(({ decision_id: id }) => id?.startsWith('poison')).map(({ seq }) => seq);
		const told = (await linesOf(directory)).filter(line => line.includes('"action":"sink_refused"'));
		assert.deepEqual(
			told.flatMap(line => (JSON.parse(line) as { detail: { seqs: number[] } }).detail.seqs),
			seqs,
		);
		assert.match(told[0] ?? '', new RegExp(`"answer":"it answers ${status}"`));
		// What follows arrives too, the record about it included; all but the poison, in order.
		await some('after');
		await until(() => audit.status().sinks[0]?.behind === 0);
		const arrived = [...new Set(central.lines())];
		assert.deepEqual(
			arrived,
			(await linesOf(directory)).filter(line => !isPoison(line)),
		);
	});
}

test('a sink that takes no record at all is given everything again: nothing is set aside', async t => {
	const central = await startCentral(t);
	central.answer(() => ({ status: 400 }));
	const { directory, audit, some, refused } = await stage(t, central);
	await some('a', 'b', 'c');
	await until(() => audit.status().sinks[0]?.error === 'it refuses every record: it answers 400');
	const tried = central.uploads.length;
	await until(() => central.uploads.length > tried);
	assert.equal(refused(), 0);
	central.answer(() => ({ status: 200 }));
	await until(() => audit.status().sinks[0]?.behind === 0);
	// In any order: the server may begin to take records in the middle of a search for a bad one.
	assert.deepEqual([...new Set(central.lines())].toSorted(), (await linesOf(directory)).toSorted());
	assert.equal(audit.status().sinks[0]?.error, undefined);
});

test('a record about refused records that is refused itself begets no other one', async t => {
	const central = await startCentral(t);
	central.answer(lines => ({
		status: lines.some(line => isPoison(line) || line.includes('sink_refused')) ? 400 : 200,
	}));
	const { directory, audit, some, refused } = await stage(t, central);
	await some('a', 'poison', 'b');
	await until(() => refused() === 1);
	await some('c');
	await until(() => refused() === 2);
	await until(() => audit.status().sinks[0]?.behind === 0);
	assert.equal((await linesOf(directory)).filter(line => line.includes('sink_refused')).length, 1);
});
