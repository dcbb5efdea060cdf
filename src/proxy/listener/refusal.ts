import type { Identity } from '../../model/agent.ts';
import type { Refused } from '../../model/cause.ts';
import type { RefusedConnection } from '../../model/record.ts';

/** The record of a connection that was refused before a call; `claimed` when it is known who it would be. */
export const refusedConnection = (
	listener: string,
	{ cause, detail = '' }: Refused,
	remote: string | undefined,
	claimed?: Identity,
): RefusedConnection => ({
	listener,
	cause,
	detail,
	remote: remote ?? '',
	...(claimed === undefined ? {} : { claimed: claimed.agent.id }),
});
