import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSpiffeId } from '../../src/formats/spiffe-id.ts';
import { Judged } from '../../src/identity/judged.ts';
import { identity } from '../../src/model/agent.ts';

const id = parseSpiffeId('spiffe://example.org/agents/a');
if ('broken' in id) throw new Error(id.broken);
const judgement = (notBefore: number, notAfter: number) => ({
	identity: identity(id, 'mtls', { notAfter }),
	notBefore,
	notAfter,
	intermediates: [],
});

test('what a chain proved it proves again, between the ends of its validity and not outside', () => {
	const judged = new Judged();
	const key = Judged.keyOf([Buffer.from('leaf')], false);
	const made = judgement(1000, 2000);
	judged.keep(key, made);
	assert.equal(judged.find(key, 1000), made);
	assert.equal(judged.find(key, 1999), made);
	assert.equal(judged.find(key, 999), undefined);
	assert.equal(judged.find(key, 2000), undefined);
});

test('another leaf, another intermediate, and a resumed session are other proofs', () => {
	const leaf = Buffer.from('leaf');
	const keys = [
		Judged.keyOf([leaf], false),
		Judged.keyOf([leaf], true),
		Judged.keyOf([leaf, Buffer.from('ca')], false),
		Judged.keyOf([Buffer.from('other')], false),
	];
	assert.equal(new Set(keys).size, keys.length);
});

test('it remembers a bounded number, and forgets what was not used for longest', () => {
	const judged = new Judged();
	for (let n = 0; n < 1024; n++) judged.keep(`${n}`, judgement(0, 10));
	assert.ok(judged.find('0', 1));
	judged.keep('one more', judgement(0, 10));
	assert.ok(judged.find('0', 1), 'it was used');
	assert.equal(judged.find('1', 1), undefined);
	assert.ok(judged.find('one more', 1));
});
