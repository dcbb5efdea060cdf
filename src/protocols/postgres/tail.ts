/** The last six bytes of a stream that is passed on unread: enough to see whether it stands between two messages. */
const SIZE = 6;

export class Tail {
	readonly #bytes = new Uint8Array(SIZE);

	/** Notes what was passed on. Its cost does not depend on the length. */
	note(data: Buffer): void {
		const bytes = this.#bytes;
		const fresh = Math.min(SIZE, data.length);
		if (fresh < SIZE) bytes.copyWithin(0, fresh);
		for (let at = 0; at < fresh; at++) bytes[SIZE - fresh + at] = data[data.length - fresh + at] ?? 0;
	}

	/** ReadyForQuery was the last message, and was noted elsewhere. */
	ready(): void {
		this.note(Buffer.from([0x5a, 0, 0, 0, 5, 0x49]));
	}

	/**
	 * Whether the stream ends in a ReadyForQuery. Row data could look like one by chance: then words meant for the
	 * client stand within a row of a connection that is closed anyway.
	 */
	atReady(): boolean {
		const [type, a, b, c, length, status] = this.#bytes;
		const state = status === 0x49 || status === 0x54 || status === 0x45;
		return type === 0x5a && a === 0 && b === 0 && c === 0 && length === 5 && state;
	}

	/** Whether the stream ends in a Terminate. */
	terminates(): boolean {
		const [, type, a, b, c, length] = this.#bytes;
		return type === 0x58 && a === 0 && b === 0 && c === 0 && length === 4;
	}
}
