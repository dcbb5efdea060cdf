import { frame, int32, sslRequest, startupMessage } from '../../src/protocols/postgres/messages.ts';

/** One good conversation in turns: what a side says before the other answers. */
export interface Conversation {
	readonly turns: readonly { readonly side: 'agent' | 'upstream'; readonly data: Buffer }[];
	/** What the upstream, and at least in its end the agent, must get of it. */
	readonly upstreamGets: Buffer;
	readonly agentGetsAtTheEnd: Buffer;
}

const startup = startupMessage(
	new Map([
		['user', 'app'],
		['database', 'shop'],
		['application_name', 'test'],
	]),
);
export const ready = frame(0x5a, Buffer.from('I'));
const query = frame(0x51, Buffer.from('select 1\0'));
const answer = Buffer.concat([frame(0x43, Buffer.from('SELECT 1\0')), ready]);
export const greeting = Buffer.concat([
	frame(0x52, int32(0)),
	frame(0x53, Buffer.from('server_version\u000018.4\0')),
	frame(0x4b, int32(42), int32(4711)),
	ready,
]);

/** By name of the protocol: the contract tests want one for every protocol in the registry. */
export const CONVERSATIONS: Readonly<Record<string, Conversation>> = {
	tcp: {
		turns: [
			{ side: 'agent', data: Buffer.from('hello') },
			{ side: 'upstream', data: Buffer.from('good day') },
			{ side: 'agent', data: Buffer.from('bye') },
		],
		upstreamGets: Buffer.from('hellobye'),
		agentGetsAtTheEnd: Buffer.from('good day'),
	},
	postgres: {
		turns: [
			{ side: 'agent', data: sslRequest() },
			{ side: 'agent', data: startup },
			{ side: 'upstream', data: greeting },
			{ side: 'agent', data: query },
			{ side: 'upstream', data: answer },
		],
		upstreamGets: Buffer.concat([startup, query]),
		agentGetsAtTheEnd: answer,
	},
};
