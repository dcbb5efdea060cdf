import { isIPv4, isIPv6 } from 'node:net';
import { Command, InvalidArgumentError, Option } from 'commander';
import { duration } from '../config/values.ts';
import type { Found } from './egress/probe.ts';
import { type Trial, tryWays, type Way } from './egress/ways.ts';
import {
	type Colour,
	DONE,
	example,
	FAILURE,
	jsonLine,
	processTerminal,
	settle,
	type Terminal,
	table,
} from './terminal.ts';

interface EgressOptions {
	readonly ipv4: string;
	readonly ipv6: string;
	readonly limit: number;
	readonly resolvers?: boolean;
	readonly strict?: boolean;
	readonly json?: boolean;
}

const COLOURS: Readonly<Record<Found, Colour>> = {
	closed: 'green',
	captured: 'green',
	open: 'red',
	unanswered: 'yellow',
};

/** `check egress`. */
export function checkCommand(terminal: Terminal = processTerminal()): Command {
	const check = new Command('check').description('try, where the agent runs, whether something gets around Sallyport');
	check
		.command('egress')
		.description(
			"from the agent's container: try the ways out, by TCP, UDP, QUIC, DNS and to metadata services, and say which are open; the exit status is 1 when one is",
		)
		.addOption(
			new Option('--ipv4 <address>', 'server that is tried, which answers on 53, 80 and 443')
				.default('1.1.1.1')
				.argParser(address(isIPv4, 'an IPv4 address')),
		)
		.addOption(
			new Option('--ipv6 <address>', 'the same by IPv6')
				.default('2606:4700:4700::1111')
				.argParser(address(isIPv6, 'an IPv6 address')),
		)
		.addOption(
			new Option('--limit <duration>', 'time for each way').default(3_000, '3s').argParser((text: string): number => {
				const parsed = duration.safeParse(text);
				if (!parsed.success || parsed.data === 0) throw new InvalidArgumentError('expected a duration such as 3s');
				return parsed.data;
			}),
		)
		.option('--resolvers', 'the name servers of /etc/resolv.conf are meant to be open to the agent (egress.sh --dns)')
		.option('--strict', 'what left and was not answered counts as open')
		.option('--json', 'print JSON')
		.addHelpText('after', example('sallyport check egress', 'sallyport check egress --resolvers --json'))
		.action((options: EgressOptions) => settle(terminal, () => egress(options, terminal)));
	return check;
}

const address =
	(fits: (text: string) => boolean, what: string) =>
	(text: string): string => {
		if (!fits(text)) throw new InvalidArgumentError(`expected ${what}`);
		return text;
	};

async function egress(
	{ ipv4, ipv6, limit, resolvers, strict, json }: EgressOptions,
	terminal: Terminal,
): Promise<number> {
	const trial: Trial = { v4: ipv4, v6: ipv6, limit };
	const ways = await tryWays(trial);
	const counts = ({ way, found }: Way): boolean =>
		(found === 'open' || (strict === true && found === 'unanswered')) &&
		!(resolvers === true && way.startsWith('resolver-'));
	const open = ways.filter(counts);
	if (json === true)
		terminal.out(jsonLine({ ok: open.length === 0, ways: ways.map(way => ({ ...way, counts: counts(way) })) }));
	else {
		const lines = table(ways.map(({ way, to = '', found, detail }) => [found, way, to, detail])).split('\n');
		const painted = lines.map((line, index) => {
			const found = ways[index]?.found;
			return found === undefined ? line : terminal.paint(COLOURS[found], line);
		});
		terminal.out(painted.join('\n'));
		terminal.out(
			open.length === 0
				? `${terminal.paint('green', 'no way out')} but Sallyport's${ways.some(({ found }) => found === 'unanswered') ? ' was seen to be open' : ''}\n`
				: `${terminal.paint('red', `${open.length} ${open.length === 1 ? 'way is' : 'ways are'} open`)}: nothing keeps the agent from going around Sallyport\n`,
		);
	}
	return open.length === 0 ? DONE : FAILURE;
}
