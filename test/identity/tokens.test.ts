import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Tokens as Opened, type TokenDeps, TokenKeeper, type TokenSettings } from '../../src/identity/tokens.ts';

const A = 'spiffe://example.org/agents/a';
const B = 'spiffe://example.org/agents/b';
const HOUR = 3_600_000;

async function setUp(t: TestContext) {
	const directory = await mkdtemp(join(tmpdir(), 'sallyport-tokens-'));
	t.after(() => rm(directory, { recursive: true }));
	const clock = { time: Date.now(), now: () => clock.time };
	const setting = (more: Partial<TokenSettings> = {}): TokenSettings => ({
		listener: 'egress',
		directory,
		agents: [A, B],
		rotate: HOUR,
		...more,
	});
	const open = async (...settings: TokenSettings[]) => {
		const tokens = await openTokens(settings.length === 0 ? [setting()] : settings, { clock });
		t.after(() => tokens.close());
		return tokens;
	};
	const read = (name: string) => readFile(join(directory, name, 'token'), 'utf8');
	return { directory, clock, setting, open, read };
}

/** One configuration's tokens, with the keeper that has no others. */
type Tokens = Opened & Pick<TokenKeeper, 'renew'>;

async function openTokens(settings: readonly TokenSettings[], deps: TokenDeps): Promise<Tokens> {
	const keeper = new TokenKeeper(deps);
	const tokens = await keeper.open(settings);
	return { forListener: tokens.forListener, close: () => keeper.close(), renew: () => keeper.renew() };
}

function who(tokens: Tokens, token: string, listener = 'egress', username = 'agent'): string {
	const judged = tokens.forListener(listener)?.identify(username, token);
	if (judged === undefined) return 'no tokens';
	return 'cause' in judged ? judged.cause : judged.agent.id;
}

test('each agent gets a token of its own, 256 bits, readable by its owner only', async t => {
	const { directory, open, read, clock } = await setUp(t);
	const tokens = await open();
	const [a, b] = [await read('a'), await read('b')];
	assert.match(a, /^[A-Za-z0-9_-]{43}$/);
	assert.notEqual(a, b);
	assert.deepEqual([who(tokens, a), who(tokens, b)], [A, B]);
	assert.equal((await stat(join(directory, 'a'))).mode & 0o777, 0o700);
	assert.equal((await stat(join(directory, 'a', 'token'))).mode & 0o777, 0o600);
	assert.deepEqual(await readdir(join(directory, 'a')), ['token']);
	const judged = tokens.forListener('egress')?.identify('agent', a);
	if (judged === undefined || 'cause' in judged) assert.fail();
	assert.deepEqual([judged.authentication, judged.notAfter], ['token', clock.time + 2 * HOUR]);
	assert.equal(tokens.forListener('egress')?.identify('', a), judged, 'one identity per token, whatever the username');
});

test('anything else is nobody', async t => {
	const { open, read } = await setUp(t);
	const tokens = await open();
	const a = await read('a');
	assert.equal(who(tokens, ''), 'identity_missing');
	for (const wrong of [a.slice(1), `${a} `, `${a}\n`, a.toUpperCase(), 'x', 'x'.repeat(100_000), A])
		assert.equal(who(tokens, wrong), 'identity_invalid');
	assert.equal(who(tokens, a, 'other'), 'no tokens');
});

test('a restart changes no token, nor forgets the one before', async t => {
	const { open, read, clock } = await setUp(t);
	const first = await open();
	const old = await read('a');
	first.close();
	const second = await open();
	assert.equal(await read('a'), old);
	clock.time += HOUR;
	await second.renew();
	const renewed = await read('a');
	assert.notEqual(renewed, old);
	second.close();
	clock.time += 1000;
	const third = await open();
	assert.equal(await read('a'), renewed);
	assert.deepEqual([who(third, old), who(third, renewed)], [A, A]);
});

test('after a renewal the one before is good for one more period, and then expired', async t => {
	const { open, read, clock } = await setUp(t);
	const tokens = await open();
	const old = await read('a');
	clock.time += HOUR - 1;
	await tokens.renew();
	assert.equal(await read('a'), old, 'not before its time');
	clock.time += 1;
	await tokens.renew();
	const renewed = await read('a');
	assert.deepEqual([who(tokens, old), who(tokens, renewed)], [A, A]);
	clock.time += HOUR - 1;
	assert.equal(who(tokens, old), A);
	clock.time += 1;
	assert.equal(who(tokens, old), 'identity_expired');
	assert.equal(who(tokens, renewed), A);
	await tokens.renew();
	assert.equal(who(tokens, old), 'identity_invalid', 'two renewals ago is forgotten');
	assert.equal(who(tokens, renewed), A);
});

test('the one before is not shown on disk', async t => {
	const { directory, open, read, clock } = await setUp(t);
	const tokens = await open();
	const old = await read('a');
	clock.time += HOUR;
	await tokens.renew();
	for (const name of await readdir(join(directory, 'a')))
		assert.ok(!(await readFile(join(directory, 'a', name), 'utf8')).includes(old));
	assert.deepEqual((await readdir(join(directory, 'a'))).sort(), ['.previous', 'token']);
});

test('a token that was removed is made anew', async t => {
	const { directory, open, read } = await setUp(t);
	const tokens = await open();
	const old = await read('a');
	await rm(join(directory, 'a'), { recursive: true });
	await tokens.renew();
	assert.notEqual(await read('a'), old);
	assert.equal(who(tokens, await read('a')), A);
});

test('without rotation a token lives as long as its file, and ends with it', async t => {
	const { directory, open, read, setting, clock } = await setUp(t);
	const tokens = await open(setting({ rotate: 0 }));
	const old = await read('a');
	clock.time += 10_000 * HOUR;
	await tokens.renew();
	assert.equal(await read('a'), old);
	const judged = tokens.forListener('egress')?.identify('agent', old);
	assert.ok(judged !== undefined && !('cause' in judged) && judged.notAfter === undefined);
	await rm(join(directory, 'a', 'token'));
	await tokens.renew();
	assert.equal(who(tokens, old), 'identity_invalid');
	assert.equal(who(tokens, await read('a')), A);
});

test('a file that others could have written, or that is no token, is replaced', async t => {
	const { directory, open, read } = await setUp(t);
	const planted = 'A'.repeat(43);
	await mkdir(join(directory, 'a'), { mode: 0o700 });
	await mkdir(join(directory, 'b'), { mode: 0o700 });
	await writeFile(join(directory, 'a', 'token'), planted);
	await chmod(join(directory, 'a', 'token'), 0o666);
	await writeFile(join(directory, 'planted'), planted, { mode: 0o600 });
	await symlink('../planted', join(directory, 'b', 'token'));
	const tokens = await open();
	assert.equal(who(tokens, planted), 'identity_invalid');
	assert.deepEqual([who(tokens, await read('a')), who(tokens, await read('b'))], [A, B]);
	assert.equal(await readFile(join(directory, 'planted'), 'utf8'), planted, 'the link was replaced, not followed');
	await writeFile(join(directory, 'a', 'token'), 'short');
	await tokens.renew();
	assert.equal(who(tokens, await read('a')), A);
});

test('below a folder that hands its group down the group may read', async t => {
	const { directory, open } = await setUp(t);
	await chmod(directory, 0o2770);
	await open();
	assert.equal((await stat(join(directory, 'a'))).mode & 0o7777, 0o2750);
	assert.equal((await stat(join(directory, 'a', 'token'))).mode & 0o777, 0o640);
});

test('a folder that is there keeps its mode, and its group may read if it may', async t => {
	const { directory, open } = await setUp(t);
	await mkdir(join(directory, 'a'));
	await chmod(join(directory, 'a'), 0o755);
	await mkdir(join(directory, 'b'));
	await chmod(join(directory, 'b'), 0o700);
	await open();
	assert.equal((await stat(join(directory, 'a'))).mode & 0o777, 0o755);
	assert.equal((await stat(join(directory, 'a', 'token'))).mode & 0o777, 0o640);
	assert.equal((await stat(join(directory, 'b', 'token'))).mode & 0o777, 0o600);
});

test('the age of a token is the age of its file', async t => {
	const { directory, open, read, clock } = await setUp(t);
	const first = await open();
	const old = await read('a');
	first.close();
	const then = (clock.time - 2 * HOUR) / 1000;
	await utimes(join(directory, 'a', 'token'), then, then);
	const second = await open();
	assert.notEqual(await read('a'), old);
	assert.equal(who(second, old), A);
});

test('listeners with one directory share tokens, and each lets in its own agents only', async t => {
	const { open, read, setting } = await setUp(t);
	const tokens = await open(setting({ listener: 'one' }), setting({ listener: 'two', agents: [A] }));
	const [a, b] = [await read('a'), await read('b')];
	assert.deepEqual([who(tokens, a, 'one'), who(tokens, a, 'two'), who(tokens, b, 'one')], [A, A, B]);
	assert.equal(who(tokens, b, 'two'), 'listener_forbidden');
});

test('two agents for one file are a mistake, and so are two rotations of it', async t => {
	const { setting, clock } = await setUp(t);
	const opens = (...settings: TokenSettings[]) => openTokens(settings, { clock });
	await assert.rejects(opens(setting({ agents: [A, 'spiffe://example.org/teams/a'] })), /same last part/);
	await assert.rejects(
		opens(setting(), setting({ listener: 'two', agents: ['spiffe://example.org/x/b'] })),
		/same last part/,
	);
	await assert.rejects(opens(setting(), setting({ listener: 'two', rotate: 2 * HOUR })), /differ in `rotate`/);
	await assert.rejects(opens(setting({ agents: ['spiffe://example.org/..'] })), /not a SPIFFE ID/);
	await assert.rejects(opens(setting({ agents: ['spiffe://example.org'] })), /no path/);
});

test('when a file cannot be written the tokens in force stay, and it is reported once', async t => {
	const { directory, setting, clock, read } = await setUp(t);
	const reports: string[] = [];
	const tokens = await openTokens([setting({ agents: [A] })], { clock, report: broken => reports.push(broken) });
	t.after(() => tokens.close());
	const old = await read('a');
	await rm(join(directory, 'a'), { recursive: true });
	await writeFile(join(directory, 'a'), 'in the way');
	clock.time += HOUR;
	await tokens.renew();
	await tokens.renew();
	assert.equal(reports.length, 1);
	assert.match(reports[0] ?? '', /agents\/a/);
	assert.equal(who(tokens, old), A);
	await rm(join(directory, 'a'));
	await tokens.renew();
	assert.deepEqual([who(tokens, old), who(tokens, await read('a'))], [A, A]);
});

test('two configurations have one and the same token, whoever replaces it, and the second one lets go of it', async t => {
	const { clock, setting, read } = await setUp(t);
	const keeper = new TokenKeeper({ clock });
	t.after(() => keeper.close());
	const whose = (tokens: Opened, token: string): string => {
		const judged = tokens.forListener('egress')?.identify('', token);
		return judged === undefined ? 'no tokens' : 'cause' in judged ? judged.cause : judged.agent.id;
	};
	const before = await keeper.open([setting()]);
	const first = await read('a');
	clock.time += HOUR;
	const next = await keeper.open([setting({ rotate: 2 * HOUR })]);
	assert.equal(await read('a'), first, 'by the later one it is not due');
	next.close();
	await keeper.renew();
	const second = await read('a');
	assert.notEqual(second, first, 'the one that was not taken has no say any more');
	clock.time += HOUR;
	const last = await keeper.open([setting()]);
	const third = await read('a');
	assert.notEqual(third, second, 'it was due');
	for (const tokens of [before, last]) assert.deepEqual([whose(tokens, second), whose(tokens, third)], [A, A]);
	before.close();
	assert.equal(whose(last, third), A);
	last.close();
	assert.equal(whose(last, third), 'identity_invalid', 'nobody has it');
});

test('a token that was let go of while it was renewed is not known', async t => {
	const { clock, setting, read } = await setUp(t);
	const keeper = new TokenKeeper({ clock });
	t.after(() => keeper.close());
	const tokens = await keeper.open([setting({ agents: [A] })]);
	const first = await read('a');
	clock.time += HOUR;
	const renewing = keeper.renew();
	// Its turn has begun by then.
	await Promise.resolve();
	tokens.close();
	await renewing;
	const judged = [first, await read('a')].map(token => tokens.forListener('egress')?.identify('', token));
	assert.deepEqual(
		judged.map(who => who !== undefined && 'cause' in who && who.cause),
		['identity_invalid', 'identity_invalid'],
	);
});
