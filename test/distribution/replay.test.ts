import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sallyport as command } from '../cli/run.ts';
import { openStage } from '../revocation/stage.ts';
import { policyOf } from '../support/sallyport.ts';
import { makeWorkspace } from '../support/workspace.ts';

const BEFORE = `allow if {
	input.agent.path == "/agents/a"
	input.call.effect == "read"
}

deny contains "exports" if startswith(input.http.path, "/export")`;

interface Replayed {
	readonly ok: boolean;
	readonly decisions: number;
	readonly unchanged: number;
	readonly other_cause: number;
	readonly changed: number;
	readonly unintended: number;
	readonly not_judged: number;
	readonly undetermined: number;
	readonly undetermined_because: readonly { readonly why: string; readonly count: number }[];
	readonly changes: readonly Readonly<Record<string, unknown>>[];
}

test('policy replay judges what happened by a candidate: what changes, what cannot be said, and what was meant', async t => {
	const workspace = makeWorkspace(t);
	const stage = await openStage(t, { workspace, policy: policyOf(BEFORE) });
	const call = async (agent: string, line: string, more = ''): Promise<void> => {
		const wire = await stage.connect(workspace.agent(agent));
		const text = stage.get('/', `Connection: close\r\n${more}`);
		wire.send(text.replace(/^GET (http:\/\/[^/]+)\/ /, line.replace('URL', '$1')));
		await wire.closed();
	};
	await call('a', 'GET URL/x ');
	await call('a', 'GET URL/y ');
	await call('a', 'GET URL/export ');
	await call('a', 'POST URL/x ', 'Content-Length: 0\r\n');
	await call('b', 'GET URL/x ');
	await call('b', 'GET URL/x ', 'Host: other\r\n');
	const replay = async (
		rego: string,
		...words: readonly string[]
	): Promise<Replayed & { readonly code: number | null }> => {
		workspace.write('candidate/request.rego', `package sallyport.request\n\n${rego}\n`);
		const ran = await command(['policy', 'replay', '--bundle', 'candidate', '--json', ...words], {
			cwd: workspace.directory,
		});
		assert.notEqual(ran.out, '', ran.err);
		return { ...(JSON.parse(ran.out) as Replayed), code: ran.code };
	};

	const same = await replay(BEFORE, '--since', '1h');
	assert.deepEqual(
		[same.code, same.decisions, same.unchanged, same.not_judged, same.changed, same.undetermined],
		[0, 6, 5, 1, 0, 0],
	);

	// Who reads exports is let through, and agent a is not any more. What reads more is known from the rest of the record.
	const other = await replay(
		'allow if input.target.name == "tool"\n\ndeny contains "a" if { input.agent.path == "/agents/a"; input.http.path == "/y" }',
	);
	assert.equal(other.code, 1);
	assert.deepEqual(
		other.changes.map(({ from, to, agent, count, from_cause, to_cause, operation, intended }) => [
			from,
			to,
			agent,
			count,
			from_cause,
			to_cause,
			operation,
			intended,
		]),
		[
			['deny', 'allow', 'spiffe://example.org/agents/a', 1, 'denied_by_rule', undefined, 'http GET', false],
			['deny', 'allow', 'spiffe://example.org/agents/a', 1, 'no_rule', undefined, 'http POST', false],
			['deny', 'allow', 'spiffe://example.org/agents/b', 1, 'no_rule', undefined, 'http GET', false],
			['allow', 'deny', 'spiffe://example.org/agents/a', 1, undefined, 'denied_by_rule', 'http GET', false],
		],
	);
	assert.deepEqual([other.unchanged, other.changed, other.unintended], [1, 4, 4]);

	const meant = ['--intend', 'deny:allow', '--intend', 'allow:deny,agent=a,target=tool,operation=GET'];
	const intended = await replay(
		'allow if input.target.name == "tool"\n\ndeny contains "a" if { input.agent.path == "/agents/a"; input.http.path == "/y" }',
		...meant,
	);
	assert.deepEqual([intended.code, intended.ok, intended.changed, intended.unintended], [0, true, 4, 0]);
	const partly = await replay('allow := true', '--intend', 'deny:allow,agent=b');
	assert.deepEqual([partly.code, partly.unintended], [1, 2]);

	// The header was not read then, so nobody wrote it down.
	const reads = await replay('allow if input.http.headers["x-team"] == "blue"');
	assert.equal(reads.code, 1);
	assert.deepEqual(reads.undetermined_because, [{ why: 'not recorded: http.headers.x-team', count: 5 }]);

	const wrong = await command(['policy', 'replay', '--bundle', 'candidate', '--intend', 'allow'], {
		cwd: workspace.directory,
	});
	assert.equal(wrong.code, 2);
	assert.match(wrong.err, /Expected FROM:TO/);
	const early = await command(['policy', 'replay', '--bundle', 'candidate', '--until', '2000-01-01'], {
		cwd: workspace.directory,
	});
	assert.equal(early.code, 1);
	assert.match(early.err, /no decisions of that time/);
	const table = await command(['policy', 'replay', '--bundle', 'policies'], { cwd: workspace.directory });
	assert.match(table.out, /^6 decisions: 5 as before, 0 change, 1 were refused before policy was asked\nok\n/m);
});
