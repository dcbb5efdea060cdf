import type { TestContext } from 'node:test';
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { type ConnectionOptions, connect } from '@nats-io/transport-node';

export interface Message {
	readonly subject: string;
	readonly id: string;
	readonly text: string;
}

/** A stream that takes `sallyport.audit.*`, and what is in it. */
export interface Stream {
	messages(): Promise<Message[]>;
	/** The messages' texts. */
	lines(): Promise<string[]>;
}

export async function openStream(
	t: Pick<TestContext, 'after'>,
	port: number,
	options: ConnectionOptions & { readonly maxMessage?: number } = {},
): Promise<Stream> {
	const { maxMessage, ...rest } = options;
	const connection = await connect({
		servers: [`127.0.0.1:${port}`],
		maxReconnectAttempts: -1,
		reconnectTimeWait: 20,
		reconnectJitter: 1,
		reconnectJitterTLS: 1,
		...rest,
	});
	t.after(() => connection.close());
	const manager = await jetstreamManager(connection, { timeout: 1000 });
	await manager.streams.add({
		name: 'AUDIT',
		subjects: ['sallyport.audit.*'],
		...(maxMessage === undefined ? {} : { max_msg_size: maxMessage }),
	});
	const messages = async (): Promise<Message[]> => {
		const { state } = await manager.streams.info('AUDIT');
		const found: Message[] = [];
		if (state.messages === 0) return found;
		const { name } = await manager.consumers.add('AUDIT', { ack_policy: AckPolicy.None });
		const consumer = await jetstream(connection).consumers.get('AUDIT', name);
		const fetched = await consumer.fetch({ max_messages: state.messages, expires: 5000 });
		for await (const message of fetched)
			found.push({ subject: message.subject, id: message.headers?.get('Nats-Msg-Id') ?? '', text: message.string() });
		await manager.consumers.delete('AUDIT', name);
		return found;
	};
	// A server that is down, or just up again, has said nothing yet.
	return { messages, lines: async () => (await messages().catch(() => [])).map(({ text }) => text) };
}
