import { matchesAny } from '../formats/spiffe-pattern.ts';
import type { Identity } from '../model/agent.ts';
import { type Refused, refused } from '../model/cause.ts';

export interface ListenerRules {
	/** Patterns of the listener; every agent of the own trust domain when absent. */
	readonly agents?: readonly string[] | undefined;
	readonly trustDomain: string;
	/** Patterns of operators' ids, who are refused here whatever `agents` says. */
	readonly operators?: readonly string[] | undefined;
	/** Sallyport's own id, as it is now. */
	readonly ownId: () => string;
}

/**
 * Whether an identity may use one listener: undefined, or `listener_forbidden`. However it was proved: by SVID,
 * token or socket. Throws RangeError on a pattern that is none.
 */
export function compileListenerRules(rules: ListenerRules): (identity: Identity) => Refused | undefined {
	const { agents, trustDomain, operators, ownId } = rules;
	const isAgent = agents === undefined ? undefined : matchesAny(agents);
	const isOperator = matchesAny(operators ?? []);
	return ({ agent }) => {
		// An agent that could pass for an operator would undo the wall between those who call and those who administer.
		if (isOperator(agent.id)) return refused('listener_forbidden', "the id is an operator's; operators make no calls");
		if (isAgent === undefined) {
			if (agent.trustDomain !== trustDomain)
				return refused('listener_forbidden', `the listener takes agents of ${trustDomain} only`);
		} else if (!isAgent(agent.id)) {
			return refused('listener_forbidden', "the id matches none of the listener's `agents`");
		}
		// A wildcard does not mean Sallyport itself: whoever shows its SVID holds its key. Chained instances say so.
		if (agent.id === ownId() && agents?.includes(agent.id) !== true) {
			return refused('listener_forbidden', "the id is Sallyport's own; `agents` must name it in full if that is meant");
		}
		return undefined;
	};
}
