import { appendFile } from 'node:fs/promises';
import { type Cause, meaningOf } from '../../model/cause.ts';
import { failure } from '../terminal.ts';
import { type Answer, bodyOf, databaseAgent, plainAgent, svidAgent } from './agents.ts';
import type { StreamedRecord } from './sidecar.ts';
import type { Stage } from './stage.ts';
import type { Telling, Told } from './telling.ts';

/** One call of an agent, and what should come of it. */
interface Step {
	readonly agent: 'researcher' | 'clerk' | 'somebody';
	readonly what: string;
	/** What is special about how it calls. */
	readonly how: string;
	run(): Promise<Answer>;
	readonly verdict: 'allow' | 'deny' | 'ask' | 'refuse';
	readonly cause?: Cause;
	/** Why, where a policy or a table says yes. */
	readonly why?: string;
	readonly mark: string;
	/** In words what the agent got. */
	text(answer: Answer): string;
	/** What else must be so, said as it should be. */
	also?(): Readonly<Record<string, boolean>>;
}

/** What policy and grants let through and what not: HTTP calls. */
export async function httpCalls(stage: Stage, telling: Telling): Promise<void> {
	const { crm } = stage;
	const url = (path: string): string => `http://crm.example:${crm.port}${path}`;
	const before = { requests: 0 };
	const untouched = (): Readonly<Record<string, boolean>> => ({
		'the CRM sees nothing of it': crm.requests() === before.requests,
	});
	const svid = 'shows its SVID to the proxy';
	const token = 'an ordinary program, under `sallyport exec`';

	const steps: Step[] = [
		{
			agent: 'researcher',
			what: 'GET crm /customers',
			how: svid,
			run: () => svidAgent(stage, 'researcher', ['GET', url('/customers')]),
			verdict: 'allow',
			why: 'data.yaml grants it: read',
			mark: '200',
			text: ({ body }) => `${Array.isArray(body) ? body.length : 'no'} customers`,
			also: () => ({ 'the CRM gets one request': crm.requests() === before.requests + 1 }),
		},
		refusedNote(stage, before),
		{
			agent: 'clerk',
			what: 'POST crm /notes',
			how: token,
			run: () => plainAgent(stage, 'clerk', ['POST', url('/notes'), '{"about":1,"text":"called"}']),
			verdict: 'allow',
			why: 'data.yaml grants it: write',
			mark: '201',
			text: ({ body }) => `note ${String(bodyOf(body)['note'])} is written`,
		},
		{
			agent: 'clerk',
			what: 'GET crm /export',
			how: token,
			run: () => plainAgent(stage, 'clerk', ['GET', url('/export')]),
			verdict: 'deny',
			cause: 'denied_by_rule',
			mark: '403',
			text: () => 'the CRM sees nothing of it',
			also: untouched,
		},
		{
			agent: 'clerk',
			what: 'POST crm /refunds',
			how: token,
			run: () => plainAgent(stage, 'clerk', ['POST', url('/refunds'), '{"customer":1,"amount":90}']),
			verdict: 'ask',
			cause: 'approval_required',
			mark: '403',
			text: () => 'the CRM sees nothing of it',
			also: untouched,
		},
		{
			agent: 'somebody',
			what: 'GET crm /customers',
			how: 'shows no certificate',
			run: () => svidAgent(stage, undefined, ['GET', url('/customers')]),
			verdict: 'refuse',
			cause: 'identity_missing',
			mark: '403',
			text: () => 'the CRM sees nothing of it',
			also: untouched,
		},
		{
			agent: 'researcher',
			what: 'CONNECT dropbox.example:443',
			how: 'a tunnel to elsewhere',
			run: () => svidAgent(stage, 'researcher', ['CONNECT', 'dropbox.example:443']),
			verdict: 'deny',
			cause: 'no_rule',
			mark: '403',
			text: () => 'the name is not even looked up',
		},
	];
	for (const step of steps) {
		before.requests = crm.requests();
		await play(stage, telling, step);
	}
}

const refusedNote = (stage: Stage, before: { readonly requests: number }): Step => ({
	agent: 'researcher',
	what: 'POST crm /notes',
	how: 'shows its SVID to the proxy',
	run: () => note(stage),
	verdict: 'deny',
	cause: 'no_rule',
	mark: '403',
	text: () => 'the CRM sees nothing of it',
	also: () => ({ 'the CRM sees nothing of it': stage.crm.requests() === before.requests }),
});

const note = (stage: Stage): Promise<Answer> =>
	svidAgent(stage, 'researcher', [
		'POST',
		`http://crm.example:${stage.crm.port}/notes`,
		'{"about":2,"text":"likes maps"}',
	]);

/** One session that is opened, and one that the database never hears of. */
export async function sessions(stage: Stage, telling: Telling): Promise<void> {
	const { database } = stage;
	if (database === undefined) return;
	let before = database.connections();
	await play(stage, telling, {
		agent: 'researcher',
		what: 'select from orders',
		how: 'an ordinary program with DATABASE_URL, under `sallyport exec`',
		run: () => databaseAgent(stage, 'researcher'),
		verdict: 'allow',
		why: 'data.yaml grants it: connect',
		mark: 'rows',
		text: ({ body }) =>
			`${String(bodyOf(body)['orders'])} orders; Sallyport signed in, the agent never had the password`,
		also: () => ({ 'the log of Postgres shows one connection': database.connections() === before + 1 }),
	});
	before = database.connections();
	await play(stage, telling, {
		agent: 'clerk',
		what: 'select from orders',
		how: 'the same program',
		run: () => databaseAgent(stage, 'clerk'),
		verdict: 'deny',
		cause: 'no_rule',
		mark: 'FATAL 28000',
		text: () => `the log of Postgres still shows ${before} connection: none was opened`,
		also: () => ({ 'the log of Postgres shows no other connection': database.connections() === before }),
	});
}

const RULE = ['', 'allow if {', '\tinput.agent.path == "/agents/researcher"', '\tinput.http.path == "/notes"', '}'];

/** An edit of the policy while everything runs. */
export async function edit(stage: Stage, telling: Telling): Promise<void> {
	const { sidecar, folder } = stage;
	const from = sidecar.count();
	telling.added('policies/request.rego', RULE.slice(1));
	const began = performance.now();
	await appendFile(folder.at('policies', 'request.rego'), `${RULE.join('\n')}\n`);
	await sidecar.next(from, ({ type, action }) => type === 'control' && action === 'policy', 'the new policy');
	const took = Math.round(performance.now() - began);
	telling.part('in force', `after ${took} ms, with nothing restarted`);
	await play(stage, telling, {
		agent: 'researcher',
		what: 'POST crm /notes',
		how: 'the call that was refused above',
		run: () => note(stage),
		verdict: 'allow',
		why: 'the new rule',
		mark: '201',
		text: ({ body }) => `note ${String(bodyOf(body)['note'])} is written`,
	});
}

async function play({ sidecar, goOn }: Stage, telling: Telling, step: Step): Promise<void> {
	goOn();
	const { agent, what } = step;
	const from = sidecar.count();
	telling.tries(agent, what, step.how);
	const running = step.run();
	// Whichever comes first: its failure is told where it is waited for.
	running.catch(() => undefined);
	const record = await sidecar
		.next(from, record => isOf(record, agent), `the call of ${agent}`)
		.catch(async (error: Error) => {
			throw failure(`${error.message}; ${agent} got ${(await running).mark}: ${(await running).said ?? ''}`);
		});
	const told = tell(record, step);
	telling.decided(told);

	const answer = await running;
	const wrong: string[] = [];
	const expect = (so: boolean, text: string): void => {
		if (!so) wrong.push(text);
	};
	expect(
		told.verdict === step.verdict && told.cause === step.cause,
		`the verdict should be ${step.verdict}${step.cause === undefined ? '' : ` (${step.cause})`}`,
	);
	expect(
		answer.mark === step.mark,
		`${agent} should get ${step.mark}${answer.said === undefined ? '' : `, but: ${answer.said}`}`,
	);
	if (told.verdict !== 'allow' && told.decisionId !== undefined)
		expect(
			answer.decisionId === told.decisionId,
			`the refusal should name the decision ${told.decisionId}, not ${answer.decisionId}`,
		);
	for (const [text, so] of Object.entries(step.also?.() ?? {})) expect(so, text);
	telling.came(agent, what, told, { mark: answer.mark, text: wrong.length === 0 ? step.text(answer) : '', wrong });
}

function isOf(record: StreamedRecord, agent: Step['agent']): boolean {
	if (agent === 'somebody') return record.type === 'session' && record['cause'] === 'identity_missing';
	const call = record['call'];
	const id: unknown = typeof call === 'object' && call !== null ? Reflect.get(call, 'agent') : undefined;
	return record.type === 'decision' && id === `spiffe://example.org/agents/${agent}`;
}

function tell(record: StreamedRecord, step: Step): Told {
	const { cause, verdict, decision_id: decisionId, reasons } = record;
	const named = typeof cause === 'string' ? (cause as Cause) : undefined;
	const said = Array.isArray(reasons)
		? reasons.flatMap(reason =>
				typeof reason === 'object' && reason !== null && 'msg' in reason ? [String(reason.msg)] : [],
			)
		: [];
	return {
		verdict: record.type === 'session' ? 'refuse' : String(verdict),
		...(named === undefined ? {} : { cause: named }),
		why:
			said.length > 0 ? said.join('; ') : named === undefined ? (step.why ?? '') : meaningOf(named).replace(/\.$/, ''),
		...(typeof decisionId === 'string' ? { decisionId } : {}),
	};
}
