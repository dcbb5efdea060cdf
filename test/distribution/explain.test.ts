import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { auditCommand } from '../../src/cli/audit.ts';
import { openStage } from '../revocation/stage.ts';
import { makeWorkspace } from '../support/workspace.ts';

const REQUEST = `package sallyport.request

import data.sets.known

default allow := false

allow if {
	input.agent.path == "/agents/a"
	known(input.target.name)
	input.call.effect == "read"
}

deny contains "no exports" if startswith(input.http.path, "/export")

deny contains "another time" if time.now_ns() < 1000000000000000000
`;

/** `allow` of another package is not this one's. */
const HELPERS = `package sets

known(name) if name in data.names

allow if input.call
`;

interface Shown {
	readonly same: boolean;
	readonly masked?: readonly string[];
	readonly again: { readonly verdict: string; readonly cause?: string };
	readonly bundles: readonly {
		readonly revision: string;
		readonly rules: readonly {
			readonly rule: string;
			readonly file: string;
			readonly line: number;
			readonly holds: boolean;
			readonly decided: boolean;
			readonly failed?: { readonly line: number; readonly text: string };
		}[];
	}[];
}

test('audit explain shows rule and line of a decision, by the bundle of its revision, and says what it cannot', async t => {
	const workspace = makeWorkspace(t);
	const stage = await openStage(t, {
		workspace,
		policy: { 'request.rego': REQUEST, 'sets.rego': HELPERS, 'data.json': '{"names": ["tool"]}' },
	});
	const explained = async (id: string, terminal = false): Promise<{ text: string; errors: string; status: number }> => {
		let [text, errors] = ['', ''];
		const output = {
			terminal,
			colour: false,
			write: async (part: string) => {
				text += part;
			},
			error: (part: string) => {
				errors += part;
			},
		};
		const before = process.exitCode;
		process.exitCode = 0;
		const folders = ['--directory', workspace.path('var/audit'), '--keep', workspace.path('var/policy')];
		await auditCommand(output).parseAsync(['explain', id, ...folders], { from: 'user' });
		const status = Number(process.exitCode ?? 0);
		process.exitCode = before;
		return { text, errors, status };
	};
	const ask = async (agent: string, line: string, more = ''): Promise<string> => {
		const wire = await stage.connect(workspace.agent(agent));
		wire.send(
			stage.get('/', `Connection: close\r\n${more}`).replace(/^GET (http:\/\/[^/]+)\/ /, line.replace('URL', '$1')),
		);
		await wire.closed();
		const decision = stage.sallyport.records().findLast(({ type }) => type === 'decision');
		return decision?.decision_id ?? '';
	};
	const runs = async (id: string) => {
		const { text, errors, status } = await explained(id);
		assert.equal(status, 0, errors + text);
		const shown = JSON.parse(text) as Shown;
		const decided = shown.bundles[0]?.rules.filter(({ decided }) => decided) ?? [];
		return { shown, decided: decided.map(({ rule, file, line, failed }) => [rule, file, line, failed?.line]) };
	};

	const allowed = await ask('a', 'GET URL/x ');
	assert.deepEqual((await runs(allowed)).decided, [['allow', 'request.rego', 7, undefined]]);
	const denied = await ask('a', 'GET URL/export/all ');
	const first = await runs(denied);
	assert.deepEqual(first.decided, [['deny', 'request.rego', 13, undefined]]);
	assert.equal(first.shown.again.cause, 'denied_by_rule');
	const missed = await ask('a', 'POST URL/x ', 'Content-Length: 0\r\n');
	assert.deepEqual((await runs(missed)).decided, [
		['allow', 'request.rego', 7, 10],
		['allow', 'request.rego', 5, undefined],
	]);

	const shown = await explained(missed, true);
	assert.match(
		shown.text,
		/^→ allow {2}fails {6}request\.rego:7 {2}allow if \{\n +at request\.rego:10 {2}input\.call\.effect == "read"$/m,
	);
	assert.match(shown.text, /evaluated again: deny · no_rule, as recorded/);

	// Policy has changed since: a decision is explained by what was in force then.
	workspace.write('policies/request.rego', 'package sallyport.request\n\nallow := true\n');
	await stage.sallyport.waitForLog(
		() => stage.sallyport.log().filter(({ msg }) => msg === 'policy is in force').length === 2,
		'the new policy',
	);
	assert.deepEqual((await runs(denied)).decided, [['deny', 'request.rego', 13, undefined]]);

	const unread = await explained(await ask('a', 'GET URL/x ', 'Host: other\r\n'), true);
	assert.equal(unread.status, 1);
	assert.match(unread.errors, /the record lacks the input: policy was not asked, .* before \(undecodable\)/);
	assert.match((await explained('ffffffff')).errors, /no decision in .* has an id that begins so/);
	assert.match((await explained('0')).errors, /several decisions have an id that begins so/);

	const revision = first.shown.bundles[0]?.revision ?? '';
	const kept = workspace.path('var/policy');
	for (const name of readdirSync(kept)) if (name.includes(revision)) rmSync(join(kept, name));
	const gone = await explained(denied);
	assert.equal(gone.status, 1);
	assert.match(gone.errors, new RegExp(`revision ${revision} of bundle default is not kept in`));
});
