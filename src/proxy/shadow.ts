import type { PolicyPath } from '../model/call.ts';
import type { AgentPolicy } from '../model/ports.ts';
import type { ShadowVerdict, Verdict } from '../model/verdict.ts';
import type { CallInput, InputBuilder } from '../policy/input.ts';

/** Longest error of a bundle that is only tried, in a record. */
const LONGEST = 512;

/**
 * What bundles would have said that are only tried, each by itself. They see the call as it was read for the policy in
 * force: a body that nobody read for it is not read for them.
 */
export function tryShadows(
	shadows: readonly AgentPolicy[],
	active: AgentPolicy,
	path: PolicyPath,
	input: CallInput,
	builder: InputBuilder,
): readonly ShadowVerdict[] {
	return shadows.flatMap((shadow): ShadowVerdict[] => {
		const [bundle] = shadow.bundles;
		if (bundle === undefined) return [];
		const { name, revision } = bundle;
		if (lacksBody(shadow, active, path, input)) return [{ bundle: name, revision, verdict: 'undetermined' }];
		const { verdict, cause, error } = evaluated(shadow, path, input, builder);
		return [
			{
				bundle: name,
				revision,
				verdict,
				...(cause === undefined ? {} : { cause }),
				...(error === undefined ? {} : { error: error.slice(0, LONGEST) }),
			},
		];
	});
}

/** Whatever goes wrong is its own affair. */
function evaluated(
	shadow: AgentPolicy,
	path: PolicyPath,
	input: CallInput,
	builder: InputBuilder,
): Pick<Verdict, 'verdict' | 'cause' | 'error'> {
	try {
		return shadow.evaluate(path, builder.build(shadow, path, input).text);
	} catch (error) {
		return { verdict: 'deny', cause: 'policy_error', error: error instanceof Error ? error.message : 'unknown' };
	}
}

function lacksBody(shadow: AgentPolicy, active: AgentPolicy, path: PolicyPath, { sections }: CallInput): boolean {
	const reads = (policy: AgentPolicy): boolean =>
		policy.reads(path).has('http', 'body') || policy.reads(path).has('http', 'body_state');
	return sections.some(({ key }) => key === 'http') && !path.endsWith('response') && reads(shadow) && !reads(active);
}
