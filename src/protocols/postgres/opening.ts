import { type Refused, refused } from '../../model/cause.ts';
import type { SessionPermit } from '../../model/permit.ts';
import type { SessionStep } from '../contract.ts';
import {
	ALPN,
	AUTH_OK,
	AUTH_SASL,
	AUTHENTICATION,
	authentication,
	BACKEND_KEY_DATA,
	cstring,
	ERROR_RESPONSE,
	type Frame,
	frame,
	READY_FOR_QUERY,
	sqlState,
	sslRequest,
	takeFrame,
} from './messages.ts';
import { mechanisms, type UpstreamAuth } from './upstream-auth.ts';

/** Messages of the opening are small; a longer one is not Postgres. */
const MAX_MESSAGE = 64 * 1024;
const EMPTY: Buffer = Buffer.alloc(0);

export interface OpeningOptions {
	readonly permit: SessionPermit;
	/** TLS to the upstream, and nothing less. */
	readonly tls: boolean;
	/** The start-up message, or a cancel request. */
	readonly packet: Buffer;
	/**
	 * `originate`: Sallyport authenticates itself and the agent sees only that it is let in; `relay`: agent and
	 * upstream do it between them; `cancel`: the packet is all there is.
	 */
	readonly mode: 'relay' | 'cancel' | { readonly originate: UpstreamAuth };
	/** Exchanges the upstream's key (process id and secret) for the one that the agent gets. */
	exchangeKey(upstreamKey: Buffer): Buffer;
}

export type Progress =
	| { readonly kind: 'going'; readonly steps: readonly SessionStep[] }
	/** ReadyForQuery went to the agent, and `rest` came after it. */
	| { readonly kind: 'open'; readonly steps: readonly SessionStep[]; readonly rest: Buffer }
	| {
			readonly kind: 'refused';
			readonly steps: readonly SessionStep[];
			readonly refused: Refused;
			/** SQLSTATE that the upstream gave. */
			readonly code?: string;
	  };

/** The upstream's side of a session from the dial to the first ReadyForQuery. */
export class Opening {
	readonly #options: OpeningOptions;
	#state: 'dialling' | 'answer' | 'securing' | 'authentication' | 'computing' | 'greeting' = 'dialling';
	#buffer = EMPTY;
	#error: string | undefined;

	constructor(options: OpeningOptions) {
		this.#options = options;
	}

	/** Whether the start-up message has gone out, so that the agent's bytes may follow it. */
	get begun(): boolean {
		return this.#state === 'authentication' || this.#state === 'computing' || this.#state === 'greeting';
	}

	/** SQLSTATE of an error that the upstream has already told the agent itself. */
	get error(): string | undefined {
		return this.#error;
	}

	dialled(): Progress {
		if (this.#state !== 'dialling') return refusing([], 'upstream_reset', 'dialled out of turn');
		if (!this.#options.tls) return this.#begin();
		this.#state = 'answer';
		return { kind: 'going', steps: [this.#send(sslRequest())] };
	}

	secured(): Progress {
		if (this.#state !== 'securing') return refusing([], 'upstream_reset', 'secured out of turn');
		return this.#begin();
	}

	bytes(data: Buffer): Progress {
		if (this.#state === 'answer') return this.#answer(data);
		if (this.#options.mode === 'cancel') return { kind: 'going', steps: [] };
		if (!this.begun) return refusing([], 'upstream_reset', 'the upstream sent bytes out of turn');
		this.#buffer = this.#buffer.length === 0 ? data : Buffer.concat([this.#buffer, data]);
		return this.#read();
	}

	computed(result: unknown): Progress {
		const { mode } = this.#options;
		if (this.#state !== 'computing' || typeof mode === 'string') return refusing([], 'upstream_reset', 'out of turn');
		const step = mode.originate.computed(result);
		if (step.kind === 'refuse') return { kind: 'refused', steps: [], refused: step.refused };
		this.#state = 'authentication';
		return this.#read(step.kind === 'send' ? [this.#send(step.data)] : []);
	}

	#send(data: Buffer): SessionStep {
		return { kind: 'toUpstream', permit: this.#options.permit, data };
	}

	#begin(): Progress {
		this.#state = 'authentication';
		return { kind: 'going', steps: [this.#send(this.#options.packet)] };
	}

	/** The one byte that answers SSLRequest. More than one may come from a man in the middle (CVE-2021-23222). */
	#answer(data: Buffer): Progress {
		if (data.length !== 1) return refusing([], 'upstream_tls', 'the upstream sent bytes before the TLS handshake');
		if (data[0] !== 0x53) return refusing([], 'upstream_tls', 'the upstream does not offer TLS');
		this.#state = 'securing';
		return { kind: 'going', steps: [{ kind: 'startTls', side: 'upstream', alpn: ALPN }] };
	}

	#read(steps: SessionStep[] = []): Progress {
		for (;;) {
			const next = takeFrame(this.#buffer, MAX_MESSAGE);
			if (next === 'more') return { kind: 'going', steps };
			if (next === 'bad') return refusing(steps, 'upstream_reset', 'the upstream sent a message of impossible length');
			this.#buffer = next.rest;
			const end = this.#message(next, steps);
			if (end !== undefined) return end;
		}
	}

	/** One message; undefined: go on with the next. */
	#message(message: Frame, steps: SessionStep[]): Progress | undefined {
		const greeting = this.#state === 'greeting';
		switch (message.type) {
			case AUTHENTICATION:
				if (greeting) return refusing(steps, 'upstream_reset', 'the upstream authenticated twice');
				return this.#authentication(message, steps);
			case ERROR_RESPONSE:
				return this.#failed(message, steps);
			case BACKEND_KEY_DATA:
				if (!greeting || message.body.length < 8 || message.body.length > 260) break;
				steps.push(toAgent(frame(BACKEND_KEY_DATA, this.#options.exchangeKey(Buffer.from(message.body)))));
				return undefined;
			case READY_FOR_QUERY:
				if (!greeting || message.body.length !== 1) break;
				steps.push(toAgent(message.whole));
				return { kind: 'open', steps, rest: this.#buffer };
			case 0x4e: // NoticeResponse
				// Before authentication a notice could name the credential's user.
				if (greeting || this.#options.mode === 'relay') steps.push(toAgent(message.whole));
				return undefined;
			case 0x53: // ParameterStatus
				if (!greeting) break;
				steps.push(toAgent(message.whole));
				return undefined;
			default:
				break;
		}
		return refusing(steps, 'upstream_reset', 'the upstream sent an unexpected message');
	}

	#authentication(message: Frame, steps: SessionStep[]): Progress | undefined {
		const { mode } = this.#options;
		const kind = message.body.length < 4 ? -1 : message.body.readUInt32BE(0);
		if (mode === 'relay' || mode === 'cancel') {
			if (kind === -1) return refusing(steps, 'upstream_reset', 'the upstream sent a malformed authentication message');
			if (kind === AUTH_OK) this.#state = 'greeting';
			if (kind !== AUTH_SASL) {
				steps.push(toAgent(message.whole));
				return undefined;
			}
			// Channel binding cannot hold across two TLS connections: offer only what can succeed.
			const offered = mechanisms(message.body).filter(name => !name.endsWith('-PLUS'));
			if (offered.length === 0) return refusing(steps, 'upstream_unreachable', 'the upstream wants channel binding');
			steps.push(toAgent(authentication(AUTH_SASL, ...offered.map(cstring), Buffer.from([0]))));
			return undefined;
		}
		const step = mode.originate.on(message.body);
		switch (step.kind) {
			case 'send':
				steps.push(this.#send(step.data));
				return undefined;
			case 'compute':
				this.#state = 'computing';
				steps.push({ kind: 'compute', run: step.run });
				return { kind: 'going', steps };
			case 'ok':
				this.#state = 'greeting';
				steps.push(toAgent(authentication(AUTH_OK)));
				return undefined;
			case 'more':
				return undefined;
			case 'refuse':
				return { kind: 'refused', steps, refused: step.refused };
		}
	}

	/**
	 * The upstream will not have the session. Its own words go on to the agent, unless they are about a credential
	 * that only Sallyport holds: then the agent learns the SQLSTATE.
	 */
	#failed(message: Frame, steps: SessionStep[]): Progress | undefined {
		const code = sqlState(message.body);
		if (this.#state !== 'greeting' && this.#options.mode !== 'relay') {
			return {
				kind: 'refused',
				steps,
				refused: refused('upstream_unreachable', `the upstream refused the session with SQLSTATE ${code}`),
				code,
			};
		}
		this.#error = code;
		steps.push(toAgent(message.whole));
		return undefined;
	}
}

const toAgent = (data: Buffer): SessionStep => ({ kind: 'toAgent', data });

const refusing = (
	steps: readonly SessionStep[],
	cause: 'upstream_reset' | 'upstream_tls' | 'upstream_unreachable',
	detail: string,
): Progress => ({ kind: 'refused', steps, refused: refused(cause, detail) });
