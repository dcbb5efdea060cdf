import type { Dispatcher } from 'undici';

/** Fields of an answer, by their names in lower case. */
export type Fields = Readonly<Record<string, string | string[] | undefined>>;

/** What a server answered, whole. */
export interface Answer {
	readonly status: number;
	readonly fields: Fields;
	readonly body: Buffer;
}

export interface AnswerOptions {
	/** Greatest body. */
	readonly maxBytes: number;
	/** Why what begins so is not read to its end; undefined when it is. */
	readonly unwanted?: (status: number, fields: Fields) => string | undefined;
	/** In words, what it means that the way to the server failed. */
	readonly failed: string;
	/** Called once, with the answer or why there is none. */
	readonly over: (answer: Answer | { readonly broken: string }) => void;
}

/** Reads the answer to one request. */
export class AnswerReader implements Dispatcher.DispatchHandler {
	readonly #options: AnswerOptions;
	#status = 0;
	#fields: Fields = {};
	readonly #chunks: Buffer[] = [];
	#bytes = 0;
	#ended = false;

	constructor(options: AnswerOptions) {
		this.#options = options;
	}

	/** Gives it up. */
	fail(broken: string): void {
		this.#end({ broken });
	}

	onRequestStart(): void {}

	onRequestUpgrade(): void {
		this.fail('the server switched protocols');
	}

	onResponseStart(_controller: Dispatcher.DispatchController, status: number, fields: Fields): void {
		if (status < 200) return;
		this.#status = status;
		this.#fields = fields;
		const unwanted = this.#options.unwanted?.(status, fields);
		if (unwanted !== undefined) this.fail(unwanted);
	}

	onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
		if (this.#ended) return;
		this.#bytes += chunk.length;
		if (this.#bytes > this.#options.maxBytes) this.fail(`the answer is larger than ${sizeOf(this.#options.maxBytes)}`);
		else this.#chunks.push(chunk);
	}

	onResponseEnd(): void {
		this.#end({ status: this.#status, fields: this.#fields, body: Buffer.concat(this.#chunks) });
	}

	onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
		const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
		// OpenSSL's and the system's words, without what a server could write into them.
		this.fail(`${this.#options.failed}${/^[A-Z0-9_]{3,60}$/.test(code) ? ` (${code})` : ''}`);
	}

	#end(result: Answer | { readonly broken: string }): void {
		if (this.#ended) return;
		this.#ended = true;
		this.#options.over(result);
	}
}

const sizeOf = (bytes: number): string => (bytes < 1024 ** 2 ? `${bytes / 1024} KiB` : `${bytes / 1024 ** 2} MiB`);
