import { parseArgs } from 'node:util';

export const CANDIDATES = [
	'sallyport',
	'envoy',
	'bare-node',
	'grants',
	'handshakes',
	'start-up',
	'memory',
	'activation',
] as const;
export type CandidateName = (typeof CANDIDATES)[number];

export interface Options {
	/** Fewer seconds a point: for a look, not for a result. */
	readonly quick: boolean;
	/** What to measure; all when empty. */
	readonly only: readonly CandidateName[];
	readonly rounds: number;
	/** Flags of Sallyport's Node. */
	readonly flags: readonly string[];
	/** Take dist/ as it is instead of building it. */
	readonly built: boolean;
}

export const HELP = `Measures Sallyport beside its peers, in interleaved rounds; see bench/README.md.

  npm run bench                           all of it, about thirteen minutes; writes bench/results/
  npm run bench -- --quick                a look in about five minutes; writes nothing
  npm run bench -- --only envoy           one of ${CANDIDATES.join(', ')}; may be repeated; writes nothing
  npm run bench -- --rounds 5             more rounds (3)
  npm run bench -- --node-flag FLAG       a flag for Sallyport's Node, such as --max-semi-space-size=4; writes nothing
  npm run bench -- --no-build             take dist/ as it is
`;

/** Answers what was asked for, or what is wrong with it. */
export function readOptions(argv: readonly string[]): Options | { readonly mistake: string } | 'help' {
	try {
		const { values } = parseArgs({
			args: [...argv],
			options: {
				quick: { type: 'boolean', default: false },
				only: { type: 'string', multiple: true, default: [] },
				rounds: { type: 'string', default: '3' },
				'node-flag': { type: 'string', multiple: true, default: [] },
				'no-build': { type: 'boolean', default: false },
				help: { type: 'boolean', short: 'h', default: false },
			},
		});
		if (values.help) return 'help';
		const only: CandidateName[] = [];
		for (const name of values.only) {
			const known = CANDIDATES.find(candidate => candidate === name);
			if (known === undefined) return { mistake: `--only ${name}: expected one of ${CANDIDATES.join(', ')}` };
			only.push(known);
		}
		const rounds = Number(values.rounds);
		if (!Number.isInteger(rounds) || rounds < 1 || rounds > 50) return { mistake: '--rounds: expected 1 to 50' };
		return { quick: values.quick, only, rounds, flags: values['node-flag'], built: values['no-build'] };
	} catch (error) {
		return { mistake: error instanceof Error ? error.message : String(error) };
	}
}
