import { Command } from 'commander';
import { Show } from './audit-show.ts';
import { verifyChain } from './demo/chain.ts';
import { SALLYPORT } from './demo/folder.ts';
import { Closers, type Stage, setStage } from './demo/stage.ts';
import { edit, httpCalls, sessions } from './demo/story.ts';
import { Telling } from './demo/telling.ts';
import { DONE, example, FAILURE, processTerminal, settle, type Terminal } from './terminal.ts';

interface Options {
	readonly keep?: boolean;
	readonly json?: boolean;
}

/** `demo`: 0 when everything went as told, 1 when anything did not or was left out, 130 or 143 when it was interrupted. */
export function demoCommand(terminal: Terminal = processTerminal()): Command {
	return new Command('demo')
		.description('see it work: two agents, a tool and a database, on loopback, in a minute')
		.option('--keep', 'leave it running, and print what to try')
		.option('--json', 'print JSON lines')
		.addHelpText('after', example('sallyport demo', 'sallyport demo --keep'))
		.action((options: Options) => settle(terminal, () => demo(options, terminal)));
}

class Interrupted extends Error {
	readonly status: number;

	constructor(status: number) {
		super('interrupted');
		this.status = status;
	}
}

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

async function demo({ keep, json }: Options, terminal: Terminal): Promise<number> {
	const telling = new Telling(terminal, json === true);
	const closers = new Closers();
	const interrupted = new Promise<never>((_resolve, reject) => {
		for (const [signal, status] of Object.entries(SIGNALS)) {
			// One from the terminal comes twice under npm, which hands it on: those that follow change nothing.
			process.on(signal, () => reject(new Interrupted(status)));
		}
		// Whoever reads has seen enough (`| head`).
		process.stdout.on('error', () => reject(new Interrupted(FAILURE)));
	});
	const playing = play(telling, closers, keep === true ? interrupted : undefined, terminal);
	try {
		return await Promise.race([playing, interrupted]);
	} catch (error) {
		if (!(error instanceof Interrupted)) throw error;
		const kept = keep === true && telling.over;
		telling.plain(kept ? '\nStopped.' : '\nInterrupted.');
		telling.silence();
		return kept ? (telling.wrong === 0 ? DONE : FAILURE) : error.status;
	} finally {
		// It stops before its next step, so that nothing begins behind the end.
		closers.over();
		await playing.catch(() => undefined);
		await closers.run();
		for (const signal of Object.keys(SIGNALS)) process.removeAllListeners(signal);
	}
}

/** `kept` is for `--keep`: it leaves everything running until that rejects. */
async function play(
	telling: Telling,
	closers: Closers,
	kept: Promise<never> | undefined,
	terminal: Terminal,
): Promise<number> {
	const began = performance.now();
	telling.plain('Sallyport: two agents, a tool and a database, all on this machine.');
	telling.heading('The stage');
	const stage = await setStage(telling, closers);
	telling.heading('A tool');
	await httpCalls(stage, telling);
	if (stage.database !== undefined) telling.heading('A database');
	await sessions(stage, telling);
	telling.heading('An edit of the policy, live');
	await edit(stage, telling);
	telling.heading('What was written down');
	await verifyChain(stage, telling);
	telling.end((performance.now() - began) / 1000);
	if (kept !== undefined) {
		stay(stage, telling, terminal);
		await Promise.race([stage.sidecar.ended, kept]);
	}
	return telling.wrong === 0 ? DONE : FAILURE;
}

/** Says what can be tried, and shows every record from now on. */
function stay({ folder, crm, sidecar, database }: Stage, telling: Telling, terminal: Terminal): void {
	const clerk = `${SALLYPORT} exec --agent clerk --`;
	const commands = [
		`cd ${folder.path}`,
		`${clerk} curl -i http://crm.example:${crm.port}/customers`,
		`${clerk} curl -i http://crm.example:${crm.port}/export`,
		...(database === undefined
			? []
			: [`${SALLYPORT} exec --agent researcher --doors-only -- sh -c 'psql "$DATABASE_URL" -c "table orders"'`]),
		'$EDITOR policies/request.rego',
		`${SALLYPORT} status`,
		`${SALLYPORT} audit query --cause no_rule`,
	];
	telling.emit('running', { folder: folder.path, try: commands });
	telling.heading('Still running. To try, in another terminal');
	for (const command of commands) telling.plain(`  ${command}`);
	telling.plain('\nCtrl-C ends it and deletes the folder. What happens:\n');
	const show = new Show(terminal.person, false);
	sidecar.follow(record => {
		if (record.type === 'checkpoint') return;
		telling.emit('record', { record });
		telling.plain(show.record(record).trimEnd());
	});
}
