import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { generatedFiles } from '../../scripts/generated.ts';
import { CAUSES } from '../../src/model/cause.ts';
import { SALLYPORT } from '../support/sallyport.ts';

const committed = (path: string): string =>
	readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');

for (const [path, text] of await generatedFiles()) {
	test(`${path} is what the code says; \`node scripts/generate-docs.ts\` makes it so`, () =>
		assert.equal(committed(path), text));
}

test('`config schema` prints the schema that is committed', () => {
	const { stdout, status } = spawnSync(SALLYPORT, ['config', 'schema'], { encoding: 'utf8' });
	assert.equal(status, 0);
	assert.equal(stdout, committed('sallyport.schema.json'));
});

test('every cause, and what to do about every refusal, is in docs/causes.md', () => {
	const page = committed('docs/causes.md');
	for (const cause of CAUSES) assert.match(page, new RegExp(`^\\| \`${cause}\` \\| \\w+ \\| [^|]+ \\|`, 'm'), cause);
});

test('docs/control.md names every endpoint and every variable that programs are given', () => {
	const page = committed('docs/control.md');
	const api = committed('src/admin/api.ts');
	const endpoints = api.split(/(?='\/v1\/)/).flatMap(part => {
		const path = /^'(\/v1\/[a-z]+)',/.exec(part)?.[1];
		return path === undefined
			? []
			: [...part.matchAll(/\b(GET|POST|DELETE): \{/g)].map(([, method]) => `${method} ${path}`);
	});
	assert.ok(endpoints.length >= 5, endpoints.join());
	for (const endpoint of endpoints) assert.ok(new RegExp(`\`${endpoint}[\`?]`).test(page), endpoint);
	const environment = committed('src/cli/agent-environment.ts');
	const variables = new Set(
		[...environment.matchAll(/\bset\.([A-Z_]+) =|\b(SALLYPORT_[A-Z]+):/g)].map(([, one, other]) => one ?? other ?? ''),
	);
	assert.ok(variables.size >= 5, [...variables].join());
	for (const variable of variables) assert.ok(page.includes(`\`${variable}\``), variable);
});
