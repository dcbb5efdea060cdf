import { openAudit } from '../../src/audit/audit.ts';
import { configOf, decision, depsOf, recorded } from './fixture.ts';

/** Records more than a pipe holds to a standard output that its parent does not read, and ends. */
const [directory = ''] = process.argv.slice(2);
const audit = await openAudit(configOf(directory, { sinks: [{ stdout: {} }] }), depsOf());
const input = { text: JSON.stringify({ x: 'y'.repeat(4000) }), masks: [] };
let count = 0;
for (let i = 0; i < 400; i++) if ((await recorded(audit, decision(`d${i}`, { input }))) === undefined) count++;
process.send?.({ recorded: count, behind: audit.status().sinks[0]?.behind ?? 0 }, () => {
	void audit.close(200).then(() => process.exit(0));
});
