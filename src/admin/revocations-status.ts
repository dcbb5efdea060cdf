import type { RevocationsStatus } from '../identity/revocation/revocations.ts';
import { time } from './time.ts';

/** `revocations` in the body of `GET /v1/status`. Times in RFC 3339; what is absent is not the case. */
export interface ShownRevocations {
	readonly in_force: number;
	readonly by_operators: number;
	/** Absent where no list is followed. */
	readonly list?: {
		readonly from: string;
		/** Absent while there is no list, with the three that follow. */
		readonly sequence?: number;
		readonly issued?: string;
		readonly revocations?: number;
		readonly refreshed?: string;
		readonly problem?: string;
		/** Calls are refused: it is older than `max_age`, or there is none. */
		readonly stale?: true;
	};
}

export function revocationsOf({ inForce, byOperators, fleet }: RevocationsStatus): ShownRevocations {
	const counts = { in_force: inForce, by_operators: byOperators };
	if (fleet === undefined) return counts;
	const { from, list, refreshed, problem, stale } = fleet;
	return {
		...counts,
		list: {
			from,
			...(list === undefined
				? {}
				: { sequence: list.sequence, issued: time(list.issued), revocations: list.revocations }),
			...(refreshed === undefined ? {} : { refreshed: time(refreshed) }),
			...(problem === undefined ? {} : { problem }),
			...(stale ? { stale } : {}),
		},
	};
}
