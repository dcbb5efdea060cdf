import { startupMessage } from '../../src/protocols/postgres/messages.ts';
import { postgres } from '../../src/protocols/postgres/protocol.ts';
import { greeting } from '../support/conversations.ts';
import { agent, Harness } from '../support/session-harness.ts';

/** A session between an agent and a database that has greeted it. */
export async function openedSession(): Promise<Harness> {
	const harness = new Harness(postgres, { settings: { authenticate: 'as' } });
	harness.feed({ kind: 'accepted', identity: agent });
	await harness.bytes('agent', startupMessage(new Map([['user', 'app']])));
	await harness.bytes('upstream', greeting);
	return harness;
}
