import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SALLYPORT } from './folder.ts';
import { runProgramOf } from './program.ts';
import type { Stage } from './stage.ts';
import type { Telling } from './telling.ts';

/** Verifies the chain, then a copy in which a word was changed, then one whose end was cut off. */
export async function verifyChain(stage: Stage, telling: Telling): Promise<void> {
	const { folder, sidecar, goOn } = stage;
	goOn();
	// What a checkpoint covers is signed.
	if (sidecar.last()?.type !== 'checkpoint')
		await sidecar.next(sidecar.count(), ({ type }) => type === 'checkpoint', 'a checkpoint');
	await verify(stage, telling, { directory: 'var/audit', whole: true });

	await cp(folder.audit, folder.at('tampered'), { recursive: true });
	await alter(folder.at('tampered'), text => text.replace('/refunds', '/returns'));
	telling.plain('\n  In a copy, the clerk never tried a refund: one word of one record is changed.');
	await verify(stage, telling, { directory: 'tampered', whole: false });

	await cp(folder.audit, folder.at('shortened'), { recursive: true });
	await alter(folder.at('shortened'), withoutLast);
	telling.plain(
		'\n  In another, the last call never happened: its records are cut off. What was streamed elsewhere knows better.',
	);
	await verify(stage, telling, { directory: 'shortened', whole: false, against: 'elsewhere.jsonl' });
}

async function verify(
	{ folder, environment }: Stage,
	telling: Telling,
	{ directory, whole, against }: { readonly directory: string; readonly whole: boolean; readonly against?: string },
): Promise<void> {
	const args = [
		'audit',
		'verify',
		'--directory',
		directory,
		'--trust-bundle',
		'certs/ca.pem',
		...(against === undefined ? [] : ['--against', against]),
	];
	const { status, stdout, stderr } = await runProgramOf(SALLYPORT, args, { cwd: folder.path, env: environment });
	const said = `${stdout}${stderr}`.trim().split('\n');
	const fits = whole
		? status === 0 && said[0]?.startsWith('whole') === true
		: status === 1 && said[0]?.startsWith('BROKEN') === true;
	telling.command(
		`sallyport ${args.join(' ')}`,
		said.slice(0, 2),
		{ whole: status === 0 },
		fits ? [] : [whole ? 'the chain should be whole' : 'verify should find it'],
	);
}

/** Changes the newest segment of the chain in the folder. */
async function alter(directory: string, change: (text: string) => string): Promise<void> {
	const name =
		(await readdir(directory))
			.filter(file => file.endsWith('.jsonl'))
			.sort()
			.at(-1) ?? '';
	const text = await readFile(join(directory, name), 'utf8');
	await writeFile(join(directory, name), change(text));
}

/** Without everything from the last decision on. */
function withoutLast(text: string): string {
	const lines = text.split('\n');
	const last = lines.findLastIndex(line => line.includes('"type":"decision"'));
	return `${lines.slice(0, last).join('\n')}\n`;
}
