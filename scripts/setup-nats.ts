import { existsSync } from 'node:fs';
import { NATS_RELEASE, natsServerPlaces } from '../test/support/nats.ts';
import { goInstall, hasGo } from './go-install.ts';

/**
 * Puts `nats-server` into the cache for the tests that speak to one. Where it cannot be had in time those are skipped, so
 * nothing here fails.
 */

/** Seconds; a killed build goes on from Go's own cache the next time. */
const LIMIT = 80;
const MODULE = `github.com/nats-io/nats-server/v2@v${NATS_RELEASE}`;

const say = (text: string): void => void process.stderr.write(`setup: ${text}\n`);

const places = natsServerPlaces(process.env);
const cached = places.at(-1);
if (cached !== undefined && !places.some(path => existsSync(path))) {
	if (!hasGo()) say('there is neither nats-server nor Go to build it with: the tests of the sink nats are skipped');
	else {
		say(`building nats-server ${NATS_RELEASE} with go install; half a minute, and only once`);
		const failed = await goInstall(MODULE, cached, LIMIT);
		if (failed !== undefined) say(`no nats-server, so the tests of the sink nats are skipped: ${failed}`);
	}
}
