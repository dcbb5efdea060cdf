import type { Cause, Refused } from '../../model/cause.ts';
import type { SessionPermit } from '../../model/permit.ts';
import type { SessionEvent, SessionMachine, SessionSettings, SessionStep, Side } from '../contract.ts';

/** Why a closed side ends the session: an end on both sides is completion, a break is somebody's. */
const brokenBy = (side: Side): Cause => (side === 'agent' ? 'agent_aborted' : 'upstream_reset');

/** Bytes both ways, half-close included, from the moment that both sides are there. */
export class Relay implements SessionMachine {
	readonly #permit: SessionPermit;
	#agentEnded = false;
	#upstreamEnded = false;

	constructor(permit: SessionPermit) {
		this.#permit = permit;
	}

	on(event: SessionEvent): readonly SessionStep[] {
		switch (event.kind) {
			case 'bytes':
				return event.side === 'agent'
					? [{ kind: 'toUpstream', permit: this.#permit, data: event.data }]
					: [{ kind: 'toAgent', data: event.data }];
			case 'closed':
				return this.#closed(event.side, event.error);
			case 'ended':
				return [{ kind: 'close', cause: event.cause }];
			default:
				return [];
		}
	}

	#closed(side: Side, error: string | undefined): readonly SessionStep[] {
		if (error !== undefined) return [{ kind: 'close', cause: brokenBy(side), error }];
		if (side === 'agent') this.#agentEnded = true;
		else this.#upstreamEnded = true;
		if (this.#agentEnded && this.#upstreamEnded) return [{ kind: 'close', cause: 'completed' }];
		return [{ kind: 'end', side: side === 'agent' ? 'upstream' : 'agent' }];
	}
}

/**
 * A door to anything that is bytes over TCP: identify, decide, dial, relay. What is refused is closed without a
 * word, because there is no protocol to say it in.
 */
export class TcpMachine implements SessionMachine {
	readonly #settings: SessionSettings;
	#permit: SessionPermit | undefined;
	#relay: Relay | undefined;

	constructor(settings: SessionSettings) {
		this.#settings = settings;
	}

	on(event: SessionEvent): readonly SessionStep[] {
		if (this.#relay !== undefined) return this.#relay.on(event);
		switch (event.kind) {
			case 'accepted':
				if (event.identity !== undefined) return this.#decide();
				if (this.#settings.authenticate.includes('mtls')) return [{ kind: 'startTls', side: 'agent' }];
				return this.#refuse({ cause: 'identity_missing', detail: 'a tcp door has no way to be shown a token' });
			case 'identified':
				return this.#decide();
			case 'decided':
				if (event.permit === undefined) return this.#refuse({ cause: event.decision.cause ?? 'no_rule' });
				this.#permit = event.permit;
				return [{ kind: 'dial', permit: event.permit }];
			case 'dialled':
				return this.#settings.upstreamTls ? [{ kind: 'startTls', side: 'upstream' }] : this.#open();
			case 'secured':
				return this.#permit === undefined
					? this.#refuse({ cause: 'identity_missing', detail: 'no client certificate' })
					: this.#open();
			case 'refused':
				return this.#refuse(event.refused);
			case 'closed':
				return [
					{
						kind: 'close',
						cause: brokenBy(event.side),
						...(event.error === undefined ? {} : { error: event.error }),
					},
				];
			case 'ended':
				return [{ kind: 'close', cause: event.cause }];
			case 'bytes':
				// The driver holds bytes back while a step is unanswered, and before the opening there always is one.
				return this.#refuse({ cause: 'undecodable', detail: 'bytes before the session was open' });
			default:
				return [];
		}
	}

	#decide(): readonly SessionStep[] {
		return [
			{
				kind: 'decide',
				call: { protocol: 'tcp', operation: 'connect', resource: this.#settings.address, effect: 'unknown' },
				sections: [],
			},
		];
	}

	#open(): readonly SessionStep[] {
		if (this.#permit === undefined) return this.#refuse({ cause: 'undecodable', detail: 'opened out of turn' });
		this.#relay = new Relay(this.#permit);
		return [{ kind: 'opened' }];
	}

	#refuse({ cause, detail }: Refused): readonly SessionStep[] {
		return [{ kind: 'close', cause, ...(detail === undefined ? {} : { error: detail }) }];
	}
}
