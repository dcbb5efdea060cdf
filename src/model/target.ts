import { type Phase, type PolicyPath, policyPath } from './call.ts';

/** The protocols that an upstream can speak. The registry in protocols/ has a folder for each. */
export type ProtocolName = 'http' | 'tcp' | 'postgres';

/**
 * What one call is aimed at: an upstream, or an undeclared host and port.
 * For a declared upstream one frozen Target is made per configuration, so `json` costs nothing per call.
 */
export interface Target {
	/** The upstream's name; absent for an undeclared target. */
	readonly upstream?: string;
	/** As the call names it: lower case, no trailing dot, IPv6 without brackets. */
	readonly host: string;
	readonly port: number;
	readonly protocol: ProtocolName | 'tunnel';
	/** Whether Sallyport itself speaks TLS to it. */
	readonly tls: boolean;
	readonly sni?: string;
	/** Where the agent's own connection was going, for captured ones: what the target resolves to must be this. */
	readonly address?: string;
	/** The workload behind, which calls come in to; absent where agents call out. */
	readonly agent?: string;
	/** The text of `input.target`. */
	readonly json: string;
}

export function target(fields: Omit<Target, 'json'>): Target {
	const { upstream, host, port, protocol, tls, sni, address, agent } = fields;
	const json = JSON.stringify({
		...(upstream === undefined ? {} : { name: upstream }),
		host,
		port,
		protocol,
		tls,
		...(sni === undefined ? {} : { sni }),
		...(address === undefined ? {} : { address }),
		...(agent === undefined ? {} : { agent }),
	});
	return Object.freeze({ ...fields, json });
}

/** Which package of the policy judges this phase of a call that is aimed there. */
export const judgedBy = (phase: Phase, { agent }: Target): PolicyPath =>
	agent === undefined ? phase : policyPath(phase, 'inbound');
