import * as z from 'zod';
import { duration, size } from './values.ts';

/** The section `limits`. */
export const limits = z.strictObject({
	connections: z.number().int().positive().default(1024).describe('Open connections per listener.'),
	connections_per_agent: z.number().int().positive().default(512).describe('Open connections per agent and listener.'),
	requests_in_flight: z.number().int().positive().default(1024).describe('HTTP calls at once per listener.'),
	requests_in_flight_per_agent: z
		.number()
		.int()
		.positive()
		.default(512)
		.describe('HTTP calls at once per agent and listener, so that one agent cannot take every place.'),
	handshakes_per_second: z
		.number()
		.int()
		.positive()
		.default(1000)
		.describe('New connections per second and listener, before identification.'),
	handshake: duration
		.default(10_000)
		.describe('Time for the TLS handshake, and for a session protocol to say what it wants.'),
	header_bytes: size.default(32 * 1024).describe('Request line and header fields together.'),
	peek: duration
		.default(2_000)
		.describe('Silence after which a captured connection is one where the server speaks first.'),
	head: duration.default(10_000).describe('Time for a whole head to arrive.'),
	body: size.default(1024 ** 2).describe('Greatest body that policy is given.'),
	body_idle: duration.default(120_000).describe('Time without a byte of a body, either way.'),
	dial: duration.default(5_000).describe('Time to resolve, connect and finish TLS with an upstream.'),
	answer: duration.default(300_000).describe("Time until an upstream's answer begins."),
	total: duration.default(0).describe('Greatest length of one HTTP call; 0 is none.'),
	on_expiry: z
		.enum(['close_idle', 'close'])
		.default('close_idle')
		.describe(
			"When an agent's identity expires: `close_idle` ends its connections between requests or transactions, `close` at once.",
		),
	max_session_age: duration
		.default(24 * 3600_000)
		.describe('Greatest age of a session or tunnel, which ends then whatever it does; 0 is none.'),
	session_idle: duration.default(0).describe('Time without a byte of a session or tunnel; 0 is none.'),
	keep_alive: duration.default(60_000).describe("How long an agent's idle connection stays open."),
	upstream_keep_alive: duration.default(30_000).describe('How long an idle upstream connection is kept.'),
	upstream_connections_per_agent: z
		.number()
		.int()
		.positive()
		.default(512)
		.describe('Open connections of one agent to upstreams past which none is kept idle.'),
	upstream_idle: z.number().int().nonnegative().default(64).describe('Idle connections kept per agent and upstream.'),
});
