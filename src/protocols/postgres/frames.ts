/** Bytes of a message's type and length (PostgreSQL documentation, "Message Flow": Int32 length, itself included). */
const HEADER = 5;

/**
 * The messages of one side of an open session, which is passed on unread: only their types and lengths are looked at,
 * so as to know whether anything is under way. Nothing of them is held.
 */
export class Frames {
	/** Types of message that are counted. */
	readonly #counted: string;
	/** Of the message under way: its head as far as it has come, then how much of its body is missing. */
	readonly #head = Buffer.alloc(HEADER);
	#headBytes = 0;
	#missing = 0;
	/** Type of the last message, complete or not, and the last byte of the last complete one. */
	#type = 0;
	#last = 0;
	/** A length that cannot be: nothing is known from there on. */
	#lost = false;
	/** How many of the counted types have come, complete. */
	count = 0;

	constructor(counted: string) {
		this.#counted = counted;
	}

	/** Notes what was passed on. */
	note(data: Buffer): void {
		let at = 0;
		while (at < data.length && !this.#lost) {
			if (this.#missing > 0) {
				const taken = Math.min(this.#missing, data.length - at);
				at += taken;
				this.#missing -= taken;
				if (this.#missing === 0) this.#complete(data[at - 1] ?? 0);
				continue;
			}
			if (this.#headBytes === 0 && data.length - at >= HEADER) {
				this.#begin(data, at);
				at += HEADER;
				continue;
			}
			this.#head[this.#headBytes++] = data[at++] ?? 0;
			if (this.#headBytes < HEADER) continue;
			this.#headBytes = 0;
			this.#begin(this.#head, 0);
		}
	}

	/** ReadyForQuery was the last message, and was noted elsewhere. */
	ready(): void {
		this.#type = 0x5a;
		this.#last = 0x49;
	}

	/** Whether it stands behind a whole message of this type. */
	behind(type: string): boolean {
		return this.between && this.#type === type.charCodeAt(0);
	}

	/** Whether no part of a message is under way. */
	get between(): boolean {
		return !this.#lost && this.#missing === 0 && this.#headBytes === 0;
	}

	/** Last byte of the last whole message: of ReadyForQuery, the state of the transaction (`I`, `T`, `E`). */
	get lastByte(): string {
		return String.fromCharCode(this.#last);
	}

	#begin(bytes: Buffer, at: number): void {
		this.#type = bytes[at] ?? 0;
		const length = bytes.readInt32BE(at + 1);
		if (length < 4) this.#lost = true;
		else if (length === 4) this.#complete(0);
		else this.#missing = length - 4;
	}

	#complete(last: number): void {
		this.#last = last;
		if (this.#counted.includes(String.fromCharCode(this.#type))) this.count++;
	}
}
