import { openAudit } from '../../src/audit/audit.ts';
import { configOf, decision, depsOf } from './fixture.ts';

/** A program that records as fast as it can and says what it may act on, until it is killed. */
const [directory = ''] = process.argv.slice(2);
const config = configOf(directory, { segment: { size: 200_000, age: 1e9 } });
const audit = await openAudit(config, depsOf({ clock: Date }));
let next = 0;
const input = { text: JSON.stringify({ x: 'y'.repeat(3000) }), masks: [] };
const call = (): void => {
	const id = `d${process.pid}-${next++}`;
	audit.decision({ ...decision(id, { input }), time: Date.now() }, refusal => {
		if (refusal !== undefined) throw new Error(refusal.cause);
		// The act: from here on the upstream may have seen it.
		process.send?.(id);
		setImmediate(() => {
			audit.outcome({ decisionId: id, cause: 'completed', durationMs: 1 });
			call();
		});
	});
};
for (let i = 0; i < 32; i++) call();
