import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRevocation, reasonProblem } from '../../src/identity/revocation/entry.ts';
import { limitProblem } from '../../src/identity/revocation/local.ts';
import { readSubject } from '../../src/identity/revocation/subject.ts';
import { RevocationView } from '../../src/identity/revocation/view.ts';

test('what is revoked has one spelling, however it is written', () => {
	for (const [text, kind, what] of [
		['spiffe://example.org/agents/a', 'id', 'spiffe://example.org/agents/a'],
		['spiffe://example.org/agents/*', 'pattern', 'spiffe://example.org/agents/*'],
		['spiffe://example.org/**', 'pattern', 'spiffe://example.org/**'],
		['serial:0a1b', 'serial', 'serial:A1B'],
		['serial:00:0A:1b', 'serial', 'serial:A1B'],
		['serial:a:1b', 'serial', 'serial:A1B'],
		['serial:0', 'serial', 'serial:0'],
		['token:0123456789ABCDEF', 'token', 'token:0123456789abcdef'],
	] as const)
		assert.deepEqual(readSubject(text), { kind, what });
	const long = 'a'.repeat(43);
	for (const text of [
		'',
		'agents/a',
		'*',
		'spiffe://',
		'spiffe://*/agents/a',
		'spiffe://example.org/agents/a*',
		'spiffe://example.org/**/a',
		'SPIFFE://example.org/a',
		'serial:',
		'serial:0g',
		'serial:0A::1B',
		'serial:0A1:B',
		`serial:${long}`,
		'token:0123456789abcde',
		`token:${long}`,
	]) {
		const read = readSubject(text);
		assert.ok('broken' in read, text);
		assert.equal(read.broken.includes(long), false, 'what may be a token is not repeated');
	}
});

test('an id, a serial and a token are found by themselves, a pattern by all that it matches', () => {
	const entry = (what: string) => {
		const subject = readSubject(what);
		assert.ok('kind' in subject);
		return { ...subject, reason: 'r', operator: 'o', since: 0 };
	};
	const view = new RevocationView(
		['spiffe://example.org/agents/a', 'spiffe://example.org/teams/*/bot', 'serial:0A1B', 'token:0123456789abcdef'].map(
			entry,
		),
	);
	const detail = (id: string, more: { serial?: string; token?: string } = {}) =>
		view.revoked({ agent: { id: `spiffe://example.org/${id}` }, ...more })?.detail;
	assert.equal(detail('agents/a'), 'by its SPIFFE ID');
	assert.equal(detail('agents/a/b'), undefined);
	assert.equal(detail('agents/A'), undefined);
	assert.equal(detail('teams/x/bot'), 'by a pattern of SPIFFE IDs');
	assert.equal(detail('teams/x/y/bot'), undefined);
	assert.equal(detail('agents/b', { serial: '0A1B' }), 'by the serial of its certificate');
	assert.equal(detail('agents/b', { serial: 'A1B' }), 'by the serial of its certificate');
	assert.equal(detail('agents/b', { serial: 'A1B0' }), undefined);
	assert.equal(detail('agents/b', { token: '0123456789abcdef' }), 'by its token');
	assert.equal(detail('agents/b', { token: 'fedcba9876543210' }), undefined);
	assert.equal(view.revoked({ agent: { id: 'spiffe://other.org/agents/a' } }), undefined);
	const bot = { agent: { id: 'spiffe://example.org/teams/x/bot' } };
	for (let time = 0; time < 2; time++) assert.equal(view.revoked(bot)?.detail, 'by a pattern of SPIFFE IDs');
	assert.equal(new RevocationView([]).revoked({ agent: { id: 'spiffe://example.org/agents/a' } }), undefined);
});

test('a revocation that is not wholly understood is none', () => {
	const good = {
		what: 'spiffe://example.org/agents/a',
		reason: 'r',
		operator: 'o',
		since: '2026-01-02T03:04:05Z',
		until: '2026-01-03T03:04:05.5Z',
	};
	const read = readRevocation(good);
	assert.ok('since' in read);
	assert.deepEqual([read.since, read.until], [Date.UTC(2026, 0, 2, 3, 4, 5), Date.UTC(2026, 0, 3, 3, 4, 5, 500)]);
	for (const [change, broken] of [
		[{ what: 'a' }, /begins with none/],
		[{ what: 1 }, /does not say what/],
		[{ reason: ' ' }, /no reason/],
		[{ reason: 'x'.repeat(1025) }, /longer than 1024/],
		[{ operator: undefined }, /no operator/],
		[{ since: '2026-01-02' }, /`since`/],
		[{ since: '2026-13-02T03:04:05Z' }, /`since`/],
		[{ until: 5 }, /`until`/],
		[{ except: 'spiffe://example.org/agents/b' }, /"except" is not known/],
	] as const) {
		const result = readRevocation({ ...good, ...change });
		assert.ok('broken' in result && broken.test(result.broken), JSON.stringify(change));
	}
	for (const value of [null, [], 'x']) assert.ok('broken' in readRevocation(value));
	assert.equal(reasonProblem('fine'), undefined);
});

test('there is a limit, a lower one for patterns', () => {
	const many = (count: number, kind: 'id' | 'pattern') => Array.from({ length: count }, () => ({ kind }));
	assert.equal(limitProblem(many(10_000, 'id')), undefined);
	assert.match(limitProblem(many(10_001, 'id')) ?? '', /10000 revocations/);
	assert.equal(limitProblem(many(1_000, 'pattern')), undefined);
	assert.match(limitProblem(many(1_001, 'pattern')) ?? '', /1000 patterns/);
});
