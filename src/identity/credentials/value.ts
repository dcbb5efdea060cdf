import type { Clock } from '../../model/ports.ts';

/** A secret that may change while it is in use. */
export interface LivingValue {
	readonly kind: 'text' | 'file' | 'command' | 'jwt_svid';
	/** Path, program or audience; empty for a text. */
	readonly from: string;
	/** Undefined while there is no valid one. Constant time: it is asked for every call. */
	current(): string | undefined;
	state(): ValueState;
}

/** Where values come from, one or some that belong together. */
export interface LivingSource {
	readonly kind: LivingValue['kind'];
	/** As of its values; several with commas between. */
	readonly from: string;
	readonly values: readonly LivingValue[];
	state(): ValueState;
	/** Resolves after the first look, whatever it found. Never rejects. */
	start(): Promise<void>;
	/** Looks again, where that may bring something new. Never rejects. */
	refresh(): Promise<void>;
	close(): void;
}

/** How a value is. Times are milliseconds since the epoch. */
export interface ValueState {
	/** When what is in use came. */
	readonly since?: number;
	/** Until when it is good, where it ends by itself. */
	readonly expires?: number;
	/** Why the last look at the source brought nothing. Holds nothing secret. */
	readonly problem?: string;
}

export interface ValueDeps {
	readonly clock: Clock;
	/** Told after a look at the source that changed something. */
	news(): void;
}

/** A text of the configuration or the environment: it stays as it is. */
export class TextValue implements LivingValue {
	readonly kind = 'text';
	readonly from = '';
	readonly #text: string;

	constructor(text: string) {
		this.#text = text;
	}

	current(): string {
		return this.#text;
	}

	state(): ValueState {
		return {};
	}
}
