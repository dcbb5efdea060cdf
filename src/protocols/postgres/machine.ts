import type { Identity } from '../../model/agent.ts';
import { type Cause, type Refused, refused } from '../../model/cause.ts';
import type { SessionPermit } from '../../model/permit.ts';
import type { Decision } from '../../model/verdict.ts';
import type { SessionEvent, SessionMachine, SessionSettings, SessionStep, Side } from '../contract.ts';
import type { CancelKeys } from './cancel.ts';
import { FirstPackets } from './first-packets.ts';
import { Frames } from './frames.ts';
import {
	AUTH_CLEARTEXT,
	authentication,
	cancelRequest,
	negotiateProtocolVersion,
	PASSWORD,
	startupMessage,
	takeFrame,
} from './messages.ts';
import { Opening, type OpeningOptions, type Progress } from './opening.ts';
import { type RefusalWords, refusal } from './refusal.ts';
import { sqlSection } from './section.ts';
import type { Startup } from './startup.ts';
import { UpstreamAuth } from './upstream-auth.ts';

/** A token is 43 characters; a password message has no need to be longer than this. */
const MAX_PASSWORD = 1024;
/** How long an expired session may look busy between two transactions, milliseconds. */
const GRACE = 30_000;
const EMPTY: Buffer = Buffer.alloc(0);
const NONE: readonly SessionStep[] = [];
const NO_MATCH = refused('no_credential');

/** One session of a Postgres door, from the first packet to the last. */
export class PostgresMachine implements SessionMachine {
	readonly #settings: SessionSettings;
	readonly #keys: CancelKeys;
	#phase: 'first' | 'agent_tls' | 'password' | 'identifying' | 'deciding' | 'opening' | 'open' | 'closed' = 'first';
	readonly #packets: FirstPackets;
	/** The agent's bytes that are not read, or not sent on, yet. */
	#held = EMPTY;
	#identity: Identity | undefined;
	#startup: Startup | undefined;
	/** Why the agent cannot be signed in at the upstream. */
	#missing: Refused | undefined;
	#permit: SessionPermit | undefined;
	#opening: Opening | undefined;
	#mode: OpeningOptions['mode'] = 'relay';
	#key: Buffer | undefined;
	/** The agent's side is TLS. */
	#secured = false;
	/** The agent was asked for a token. */
	#byToken = false;
	#agentEnded = false;
	/** Once open. Each Query, Sync and FunctionCall of the agent's is answered by one ReadyForQuery. */
	readonly #fromAgent = new Frames('QSF');
	readonly #fromUpstream = new Frames('Z');
	/** The agent's identity has expired: it ends between two transactions. */
	#leaving = false;
	/** Until when it is believed that each of the agent's messages is answered; milliseconds, monotonic. */
	#graceEnds: number | undefined;
	#graceOver = false;
	/** Whether the agent has sent anything since the upstream did. */
	#asked = false;

	constructor(settings: SessionSettings, keys: CancelKeys) {
		this.#settings = settings;
		this.#keys = keys;
		// Where the socket says who it is, there is nobody to hide from.
		this.#packets = new FirstPackets(settings.authenticate.some(way => way === 'mtls' || way === 'token'));
	}

	on(event: SessionEvent): readonly SessionStep[] {
		if (this.#phase === 'closed') return NONE;
		switch (event.kind) {
			case 'bytes':
				return event.side === 'agent' ? this.#agentBytes(event.data) : this.#upstreamBytes(event.data);
			case 'accepted':
				this.#identity = event.identity;
				return NONE;
			case 'identified':
				this.#identity = event.identity;
				return this.#phase === 'identifying' ? this.#decide() : this.#agentSecured(event.alpn);
			case 'secured':
				if (this.#phase === 'agent_tls') return this.#agentSecured(event.alpn);
				return this.#opening === undefined ? NONE : this.#advance(this.#opening.secured());
			case 'decided':
				return this.#decided(event.decision, event.permit);
			case 'dialled':
				return this.#opening === undefined ? NONE : this.#advance(this.#opening.dialled());
			case 'computed':
				return this.#opening === undefined ? NONE : this.#advance(this.#opening.computed(event.result));
			case 'refused':
				return this.#refuse({ ...words(event.refused), decisionId: event.decisionId ?? this.#permit?.decisionId });
			case 'closed':
				return this.#sideClosed(event.side, event.error);
			case 'ended':
				return this.#ended(event.cause);
			case 'expired':
				this.#leaving = true;
				return this.#leaveIfIdle();
			case 'tick':
				return this.#leaving ? this.#waited(event.now) : NONE;
			default:
				return NONE;
		}
	}

	#agentBytes(data: Buffer): readonly SessionStep[] {
		if (this.#phase === 'open' && this.#permit !== undefined) {
			this.#fromAgent.note(data);
			this.#asked = true;
			return [{ kind: 'toUpstream', permit: this.#permit, data }];
		}
		if (this.#mode === 'cancel') return NONE;
		this.#held = this.#held.length === 0 ? data : Buffer.concat([this.#held, data]);
		if (this.#held.length > this.#settings.maxBuffered) {
			return this.#refuse({ cause: 'limit_exceeded', detail: 'bytes sent before the session was open' });
		}
		if (this.#phase === 'first') return this.#first();
		if (this.#phase === 'password') return this.#password();
		return this.#mode === 'relay' ? this.#release() : NONE;
	}

	/** What the agent sent ahead goes on, once the upstream has the start-up message. */
	#release(): readonly SessionStep[] {
		const data = this.#held;
		if (data.length === 0 || this.#permit === undefined || this.#opening?.begun !== true) return NONE;
		this.#held = EMPTY;
		this.#fromAgent.note(data);
		return [{ kind: 'toUpstream', permit: this.#permit, data }];
	}

	#first(): readonly SessionStep[] {
		const steps: SessionStep[] = [];
		const result = this.#packets.read(this.#held, steps);
		this.#held = 'rest' in result ? result.rest : EMPTY;
		switch (result.kind) {
			case 'more':
				return steps;
			case 'tls':
				this.#phase = 'agent_tls';
				return steps;
			case 'startup':
				return [...steps, ...this.#started(result.startup)];
			case 'cancel':
				return [...steps, ...this.#cancel(result.key)];
			case 'bad':
				return [...steps, ...this.#malformed(result.detail, result.name)];
		}
	}

	#agentSecured(alpn: string | undefined): readonly SessionStep[] {
		if (this.#phase !== 'agent_tls') return this.#malformed('secured out of turn');
		this.#phase = 'first';
		this.#secured = true;
		const problem = this.#packets.secured(alpn);
		return problem === undefined ? NONE : this.#malformed(problem);
	}

	#started(startup: Startup): readonly SessionStep[] {
		this.#startup = startup;
		const { authenticate } = this.#settings;
		if (this.#identity !== undefined) return this.#decide();
		if (authenticate.includes('token') && (this.#secured || !authenticate.includes('mtls'))) {
			this.#phase = 'password';
			this.#byToken = true;
			return [
				...this.#negotiate(startup),
				{ kind: 'toAgent', data: authentication(AUTH_CLEARTEXT) },
				...this.#password(),
			];
		}
		return this.#refuse({
			cause: 'identity_missing',
			detail: 'connect with TLS and the SVID: sslmode=verify-full, sslcert, sslkey and sslrootcert',
		});
	}

	#negotiate({ negotiate, minor, unknownOptions }: Startup): readonly SessionStep[] {
		return negotiate ? [{ kind: 'toAgent', data: negotiateProtocolVersion(minor, unknownOptions) }] : NONE;
	}

	/** The token, which goes no further than `authenticate`. */
	#password(): readonly SessionStep[] {
		const message = takeFrame(this.#held, MAX_PASSWORD);
		if (message === 'more') return NONE;
		if (message === 'bad' || message.type !== PASSWORD) return this.#malformed('expected a password message');
		if (message.body.indexOf(0) !== message.body.length - 1) return this.#malformed('the password message has no end');
		const password = message.body.toString('utf8', 0, message.body.length - 1);
		this.#held = message.rest;
		this.#phase = 'identifying';
		return [{ kind: 'authenticate', username: this.#startup?.user ?? '', password }];
	}

	#decide(): readonly SessionStep[] {
		const startup = this.#startup;
		if (startup === undefined) return this.#malformed('identified out of turn');
		this.#phase = 'deciding';
		const { database, user } = startup;
		const credential = this.#identity === undefined ? 'none' : this.#settings.credential(this.#identity);
		const entry = typeof credential === 'string' ? undefined : credential.entry;
		this.#missing = missing(credential);
		return [
			{
				kind: 'decide',
				call: {
					protocol: 'postgres',
					operation: 'connect',
					resource: database,
					effect: 'unknown',
					record: entry === undefined ? { user } : { user, credential: entry },
				},
				sections: [sqlSection(database, user)],
				...(this.#missing === undefined ? {} : { refused: this.#missing }),
			},
		];
	}

	#decided(decision: Decision, permit: SessionPermit | undefined): readonly SessionStep[] {
		const startup = this.#startup;
		const identity = this.#identity;
		if (permit === undefined || startup === undefined || identity === undefined) {
			const { cause = 'no_rule', reasons, id } = decision;
			const detail = cause === this.#missing?.cause ? this.#missing?.detail : undefined;
			return this.#refuse({ cause, reasons, decisionId: id, detail });
		}
		this.#permit = permit;
		const credential = this.#settings.credential(identity);
		// It may have come to its end while the decision was written.
		const gone = missing(credential);
		if (gone !== undefined || credential === 'no_match' || credential === 'unavailable')
			return this.#refuse({ cause: 'no_credential', detail: gone?.detail, decisionId: permit.decisionId });
		const tls = this.#settings.upstreamTls;
		// The agent's password was the token, so there is nothing of the agent's to relay.
		if (credential !== 'none') this.#mode = { originate: new UpstreamAuth(credential, tls) };
		else if (this.#byToken) this.#mode = { originate: new UpstreamAuth(undefined, tls) };
		const user = credential === 'none' ? startup.user : credential.username;
		const packet = startupMessage(new Map([['user', user], ['database', startup.database], ...startup.parameters]));
		const steps = this.#byToken ? NONE : this.#negotiate(startup);
		const agent = identity.agent.id;
		this.#phase = 'opening';
		this.#opening = new Opening({
			permit,
			tls,
			packet,
			mode: this.#mode,
			exchangeKey: upstreamKey => {
				if (this.#key !== undefined) this.#keys.remove(this.#key);
				this.#key = this.#keys.add({ permit, upstreamKey, agent }, startup.minor);
				return this.#key;
			},
		});
		return [...steps, { kind: 'dial', permit }];
	}

	#upstreamBytes(data: Buffer): readonly SessionStep[] {
		if (this.#phase === 'open') {
			this.#fromUpstream.note(data);
			this.#asked = false;
			const step: SessionStep = { kind: 'toAgent', data };
			return this.#leaving ? [step, ...this.#leaveIfIdle()] : [step];
		}
		return this.#opening === undefined ? NONE : this.#advance(this.#opening.bytes(data));
	}

	#advance(progress: Progress): readonly SessionStep[] {
		switch (progress.kind) {
			case 'going':
				return this.#mode === 'relay' && this.#held.length > 0
					? [...progress.steps, ...this.#release()]
					: progress.steps;
			case 'refused': {
				const { steps, refused, code } = progress;
				const said = { ...words(refused), decisionId: this.#permit?.decisionId };
				return [...steps, ...this.#refuse(code === undefined ? said : { ...said, code })];
			}
			case 'open': {
				const steps = [...progress.steps, { kind: 'opened' } as const, ...this.#release()];
				this.#phase = 'open';
				this.#opening = undefined;
				this.#fromUpstream.ready();
				return [
					...steps,
					...(progress.rest.length === 0 ? NONE : this.#upstreamBytes(progress.rest)),
					...(this.#leaving ? this.#leaveIfIdle() : NONE),
				];
			}
		}
	}

	/** Forwarded only if the key is that of a live session of this door, and of the same agent where that is known. */
	#cancel(key: Buffer): readonly SessionStep[] {
		const session = this.#keys.find(key);
		const foreign = this.#identity !== undefined && session?.agent !== this.#identity.agent.id;
		if (session === undefined || foreign) return this.#close('identity_invalid', 'cancel request without a session');
		const { permit, upstreamKey } = session;
		this.#phase = 'opening';
		this.#mode = 'cancel';
		this.#opening = new Opening({
			permit,
			tls: this.#settings.upstreamTls,
			packet: cancelRequest(upstreamKey),
			mode: 'cancel',
			exchangeKey: own => own,
		});
		return [{ kind: 'cancel', permit }];
	}

	#sideClosed(side: Side, error: string | undefined): readonly SessionStep[] {
		// Whoever asked may go at once: the request is done when the upstream closes.
		if (this.#mode === 'cancel') return side === 'agent' ? NONE : this.#close('completed');
		if (this.#phase !== 'open') {
			if (side === 'agent') return this.#close('agent_aborted', error);
			const told = this.#opening?.error;
			if (told !== undefined) return this.#close('upstream_unreachable', `SQLSTATE ${told}`);
			return this.#refuse({ ...words(refused('upstream_reset', error)), decisionId: this.#permit?.decisionId });
		}
		const terminated = this.#agentEnded || this.#fromAgent.behind('X');
		if (side === 'agent') {
			if (error !== undefined) return terminated ? this.#close('completed') : this.#close('agent_aborted', error);
			this.#agentEnded = true;
			return [{ kind: 'end', side: 'upstream' }];
		}
		return terminated ? this.#close('completed') : this.#close('upstream_reset', error);
	}

	#ended(cause: Cause): readonly SessionStep[] {
		const decisionId = this.#permit?.decisionId;
		if (this.#phase === 'agent_tls' || this.#mode === 'cancel') return this.#close(cause);
		if (this.#phase !== 'open') return this.#refuse({ cause, decisionId });
		// Between two messages only: in the middle of one the words would be taken for its content.
		if (!this.#fromUpstream.between) return this.#close(cause);
		return this.#refuse({ cause, decisionId, code: '57P01' });
	}

	/**
	 * Ends it if no statement and no transaction is under way. A message that has not come whole to the upstream is not
	 * under way there. During COPY a server answers no Sync, so an agent can make believe that it waits for one more
	 * answer: that is believed for a while.
	 */
	#leaveIfIdle(): readonly SessionStep[] {
		const idle =
			this.#phase === 'open' &&
			this.#fromUpstream.behind('Z') &&
			this.#fromUpstream.lastByte === 'I' &&
			(this.#fromUpstream.count >= this.#fromAgent.count || (this.#graceOver && !this.#asked));
		return idle ? this.#ended('session_expired') : NONE;
	}

	#waited(now: number): readonly SessionStep[] {
		this.#graceEnds ??= now + GRACE;
		if (now < this.#graceEnds) return NONE;
		this.#graceOver = true;
		return this.#leaveIfIdle();
	}

	#malformed(detail: string, name?: string): readonly SessionStep[] {
		return this.#refuse({ cause: 'undecodable', detail, ...(name === undefined ? {} : { name }) });
	}

	#refuse(said: RefusalWords): readonly SessionStep[] {
		return [{ kind: 'toAgent', data: refusal(said) }, ...this.#close(said.cause, said.detail)];
	}

	#close(cause: Cause, error?: string): readonly SessionStep[] {
		this.#phase = 'closed';
		this.#held = EMPTY;
		if (this.#key !== undefined) this.#keys.remove(this.#key);
		return [{ kind: 'close', cause, ...(error === undefined ? {} : { error }) }];
	}
}

const words = ({ cause, detail }: Refused): RefusalWords => ({ cause, detail });

/** Why there is nothing to sign in with. */
const missing = (credential: ReturnType<SessionSettings['credential']>): Refused | undefined =>
	credential === 'no_match'
		? NO_MATCH
		: credential === 'unavailable'
			? refused('no_credential', 'the credential for this upstream is not available now')
			: undefined;
