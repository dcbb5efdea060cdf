import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { startBulk } from './support-bulk.ts';
import { watchResident } from './support-memory.ts';
import { openStage, type Stage } from './support-stage.ts';

const SIZE = 1024 ** 3;
/** An eighth of what goes through; pages of the program that come back count too. */
const FLAT = 128 * 1024 ** 2;

for (const way of ['by length', 'in chunks'] as const) {
	test(`an upload of a gigabyte ${way} goes through at flat memory`, async t => {
		const bulk = await startBulk(t);
		const stage = await openStage(t, {
			upstreams: { bulk: { address: bulk.address, hosts: ['bulk.test'], protocol: 'http' } },
		});
		const url = `http://bulk.test:${bulk.port}/`;
		// What the heap grows to once is no matter of the length.
		await upload(stage, url, SIZE / 4, way);
		const before = stage.resident();
		const watch = watchResident(stage.sallyport.pid);
		const answer = await upload(stage, url, SIZE, way);
		watch.stop();
		assert.equal(answer, `${SIZE} bytes`);
		const grown = watch.greatest() - before;
		assert.ok(grown < FLAT, `grew by ${grown} bytes`);
		const outcome = await stage.outcome(2);
		assert.equal(outcome.cause, 'completed');
		assert.equal(outcome['bytes_sent'], SIZE);
		await stage.quiet();
	});
}

/** Sends so many zeros with curl, from a pipe. */
async function upload(stage: Stage, url: string, size: number, way: 'by length' | 'in chunks'): Promise<string> {
	const { certificate, key } = stage.workspace.agent('a');
	const zeros = spawn('head', ['-c', String(size), '/dev/zero'], { stdio: ['ignore', 'pipe', 'inherit'] });
	const length = way === 'by length' ? ['-H', `content-length: ${size}`, '-H', 'transfer-encoding:'] : [];
	const program = spawn(
		'curl',
		[
			...[
				'-q',
				'-sS',
				'-T',
				'-',
				...length,
				'--max-time',
				'120',
				'--proxy',
				`https://${stage.sallyport.address('egress')}`,
			],
			...['--proxy-cacert', stage.workspace.ca, '--proxy-cert', certificate, '--proxy-key', key, url],
		],
		{ stdio: [zeros.stdout, 'pipe', 'inherit'] },
	);
	let answer = '';
	program.stdout.setEncoding('utf8').on('data', (text: string) => {
		answer += text;
	});
	await new Promise(resolve => program.once('close', resolve));
	return answer;
}
