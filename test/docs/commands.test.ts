import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, test } from 'node:test';
import { sampleInput } from '../../src/policy/check.ts';
import { findOpa } from '../../src/policy/opa.ts';
import { freePort, sallyport } from '../cli/run.ts';
import { SALLYPORT } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { makeWorkspace, type Workspace } from '../support/workspace.ts';
import { blocksOf, pageText } from './support.ts';

/** The commands in these pages are run, block after block, in one shell per page, and end with status 0. */
const PAGES = ['README.md', 'docs/policy.md', 'docs/audit.md', 'docs/commands.md'];
/** Milliseconds. */
const LONGEST = 60_000;
/** For pages that begin where `init` and `certs` have been. */
const BEGUN: readonly string[] = ['docs/policy.md', 'docs/audit.md'];

/**
 * Stands before Sallyport on PATH: what `init` writes gets free ports, and what needs a running Sallyport has one, with
 * records, before it is called.
 */
const LAUNCHER = `#!/bin/sh
set -eu
run() {
	echo $$ > "$WORK/pid"
	exec "$REAL" "$@"
}
case $1 in
init)
	"$REAL" "$@"
	find . -name sallyport.yaml -exec sed -i "s/127.0.0.1:17400/127.0.0.1:$PORT0/;s/127.0.0.1:17401/127.0.0.1:$PORT1/;s/127.0.0.1:17402/127.0.0.1:$PORT2/" {} +
	;;
run) run "$@" ;;
audit | doors | status | reload | revoke | policy)
	if [ ! -e "$WORK/up" ] && { [ "$1" != policy ] || [ "\${2-}" = eval ]; }; then
		[ -e "$WORK/pid" ] || { "$0" run > /dev/null 2> "$WORK/log" & }
		tries=100
		until "$REAL" status > /dev/null 2>&1; do
			tries=$((tries - 1))
			[ $tries -gt 0 ]
			sleep 0.05
		done
		touch "$WORK/up"
	fi
	exec "$REAL" "$@"
	;;
*) exec "$REAL" "$@" ;;
esac
`;

describe('the commands of the pages', { concurrency: 2 }, () => {
	for (const page of PAGES) {
		test(`the commands of ${page} do what they say`, async t => {
			const blocks = blocksOf(page).filter(({ language }) => language === 'sh' || language === 'console');
			const script = blocks
				.filter(({ notRun }) => notRun === undefined)
				.map(({ place, text }) => `# ${place}\n${text}`);
			if (page !== 'docs/audit.md') assert.ok(script.length >= 2, `${page} has commands that can be run`);
			if (script.length === 0) return;
			const workspace = makeWorkspace(t);
			const begin = BEGUN.includes(page) ? ['sallyport init .', 'sallyport certs init --force'] : [];
			const { code, out } = await shell(workspace, ['set -eux', ...begin, ...script].join('\n'));
			assert.equal(code, 0, out);
		});
	}
});

async function shell(
	workspace: Workspace,
	script: string,
): Promise<{ readonly code: number | null; readonly out: string }> {
	const { directory, path, write } = workspace;
	const folder = path('page');
	chmodSync(write('page/bin/sallyport', LAUNCHER), 0o755);
	write('page/call.json', JSON.stringify(sampleInput('request')));
	const opa = await findOpa(undefined, process.env);
	const [PORT0, PORT1, PORT2] = await Promise.all([freePort(), freePort(), freePort()]);
	const env = {
		HOME: process.env['HOME'],
		PATH: `${folder}/bin:${dirname(opa.path)}:${process.env['PATH']}`,
		REAL: SALLYPORT,
		WORK: directory,
		...Object.fromEntries(Object.entries({ PORT0, PORT1, PORT2 }).map(([name, port]) => [name, String(port)])),
	};
	// A process group of its own: whatever the commands leave in the background ends with it.
	const child = spawn('sh', ['-c', script], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
	let out = '';
	for (const stream of [child.stdout, child.stderr])
		stream.setEncoding('utf8').on('data', (text: string) => {
			out += text;
		});
	try {
		// Not `close`: a Sallyport in the background holds the pipes.
		return await new Promise((resolve, reject) => {
			child.once('error', reject);
			child.once('exit', code => resolve({ code, out }));
			setTimeout(() => reject(new Error(`the commands do not come to an end: ${out}`)), LONGEST).unref();
		});
	} finally {
		if (existsSync(path('pid'))) await stop(Number(readFileSync(path('pid'), 'utf8')));
		if (child.pid !== undefined) endGroup(child.pid);
		child.stdout.destroy();
		child.stderr.destroy();
	}
}

function endGroup(leader: number): void {
	try {
		process.kill(-leader, 'SIGKILL');
	} catch {
		// Nobody is left in it.
	}
}

/** Whoever started it is gone, so nobody tells of its end. */
async function stop(pid: number): Promise<void> {
	const signal = (name: NodeJS.Signals | 0): boolean => {
		try {
			return process.kill(pid, name);
		} catch {
			return false;
		}
	};
	signal('SIGTERM');
	await until(() => !signal(0), 'Sallyport has stopped');
}

test('docs/commands.md has exactly the commands that --help lists', async () => {
	const page = pageText('docs/commands.md');
	const { out } = await sallyport(['--help']);
	const listed = [...(/\nCommands:\n([\s\S]*?)\n\n/.exec(out)?.[1] ?? '').matchAll(/^ {2}(\w+)/gm)].map(
		([, name]) => name ?? '',
	);
	const commands = listed.filter(name => name !== 'help');
	assert.ok(commands.length >= 11, out);
	for (const name of commands) assert.match(page, new RegExp(`^## \`sallyport ${name}[ \`]`, 'm'), name);
	assert.deepEqual(
		[...new Set([...page.matchAll(/^## `sallyport (\w+)/gm)].map(([, name]) => name ?? ''))].sort(),
		commands.toSorted(),
	);
});
