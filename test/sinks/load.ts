import type { TestContext } from 'node:test';
import { openWire, type Wire } from '../support/wire.ts';
import type { Pair } from '../support/workspace.ts';

/** Calls through an HTTP proxy, on connections that send one after the other. */
export interface Load {
	/** So many calls on each connection: how long each took, milliseconds, and what was answered. */
	run(calls: number): Promise<{ readonly milliseconds: number[]; readonly statuses: number[] }>;
}

export async function openLoad(
	t: Pick<TestContext, 'after'>,
	address: string,
	target: string,
	agent: Pair,
	connections: number,
): Promise<Load> {
	const wires = await Promise.all(Array.from({ length: connections }, () => openWire(t, address, { agent })));
	const head = `GET http://${target}/ HTTP/1.1\r\nhost: ${target}\r\n\r\n`;
	return {
		async run(calls) {
			const milliseconds: number[] = [];
			const statuses: number[] = [];
			await Promise.all(
				wires.map(async wire => {
					for (let call = 0; call < calls; call++) {
						const began = performance.now();
						statuses.push(await exchange(wire, head));
						milliseconds.push(performance.now() - began);
					}
				}),
			);
			return { milliseconds, statuses };
		},
	};
}

/** Status of the answer, when all of it has come. */
function exchange(wire: Wire, head: string): Promise<number> {
	return new Promise((resolve, reject) => {
		let answer = '';
		const onData = (text: string): void => {
			answer += text;
			const end = answer.indexOf('\r\n\r\n');
			if (end === -1) return;
			const length = Number(/\r\ncontent-length: (\d+)/i.exec(answer)?.[1] ?? 0);
			if (answer.length < end + 4 + length) return;
			done();
			resolve(Number(answer.slice(9, 12)));
		};
		const onClose = (): void => {
			done();
			reject(new Error(`the connection closed: ${answer}`));
		};
		const done = (): void => {
			wire.socket.off('data', onData).off('close', onClose);
		};
		wire.socket.on('data', onData).once('close', onClose);
		wire.send(head);
	});
}

/** By rank. */
export function percentile(values: readonly number[], share: number): number {
	const sorted = [...values].sort((a, b) => a - b);
	return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
