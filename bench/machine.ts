import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { nodeProgram, ROOT } from './program.ts';

/** What a reader of a result must know of the machine; no names, no paths. */
export function describeMachine(): Record<string, string | number> {
	const model = /^model name\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1];
	return {
		cpu: model ?? cpus()[0]?.model ?? 'unknown CPU',
		cores: cpus().length,
		memory_gib: Math.round(totalmem() / 1024 ** 3),
		kernel: release(),
		node: spawnSync(nodeProgram(), ['--version'], { encoding: 'utf8' }).stdout.trim(),
	};
}

/** The commit that is measured, and whether the tree differs from it. */
export function describeCommit(): { readonly commit: string; readonly changed: boolean } {
	const git = (...rest: string[]): string =>
		spawnSync('git', rest, { cwd: ROOT, encoding: 'utf8' }).stdout?.trim() ?? '';
	const commit = git('rev-parse', '--short', 'HEAD');
	// Results are written beside what they measure; they change nothing of it.
	const changes = git('status', '--porcelain', '--', '.', ':!bench/results');
	return { commit: commit === '' ? 'uncommitted' : commit, changed: changes !== '' };
}
