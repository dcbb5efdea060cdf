import { connect } from 'node:net';

/** Sends bytes and collects what comes back: until the other side ends, or `enough` bytes are there. */
export function exchangeRaw(port: number, data: Buffer, enough = Infinity): Promise<Buffer> {
	return new Promise((resolve, reject) => {
		const chunks: Buffer[] = [];
		const socket = connect({ port, host: '127.0.0.1' });
		const finish = (): void => {
			socket.destroy();
			resolve(Buffer.concat(chunks));
		};
		socket.on('connect', () => socket.write(data));
		socket.on('data', chunk => {
			chunks.push(chunk);
			if (Buffer.concat(chunks).length >= enough) finish();
		});
		socket.on('end', finish);
		socket.on('error', reject);
	});
}
