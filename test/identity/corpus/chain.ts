import {
	AGENT,
	type CaParts,
	type Case,
	type CaseOptions,
	ca,
	caExtensions,
	chainCase,
	constraints,
	type Draft,
	dns,
	email,
	extension,
	forge,
	HOUR,
	ip,
	LEAF_KEY,
	leafExtensions,
	type Made,
	NOW,
	NULL,
	name,
	nameConstraints,
	PURPOSE,
	purposes,
	ROOT,
	san,
	sequence,
	tlv,
	uri,
	usage,
	utcTime,
} from './forge.ts';

/** Chains that lead nowhere, or over what may not issue (RFC 5280 §6.1; X509-SVID.md §3.2, §4, §5.1; SPIFFE_Federation.md §4.2). */

const issuing = (parts: CaParts = {}, draft: Draft = {}): Made =>
	ca({ issuer: ROOT, subject: name('issuing'), extensions: caExtensions(parts), ...draft });

/** A good leaf under an issuing CA that breaks a rule. */
function under(
	rule: string,
	way: string,
	issuer: Made,
	detail: RegExp,
	options: CaseOptions & { readonly leaf?: Draft } = {},
): Case {
	const { leaf = {}, ...more } = options;
	return chainCase(rule, way, [forge({ issuer, ...leaf }), issuer, ...(options.with ?? [])], detail, more);
}

function anchors(): Case[] {
	const rule = 'issued by a CA of its own trust domain';
	const no = /it was not issued by a CA of its trust domain|a signature in its chain does not verify/;
	const stranger = ca({ key: LEAF_KEY });
	const named = (id: string): Draft => ({ extensions: leafExtensions({ san: san([uri(id)]) }) });
	const self = forge({ subject: name('self') });
	const middle = issuing();
	const lower = ca({ issuer: middle, subject: name('lower') });
	const other = ca({ subject: name('other root'), key: LEAF_KEY });
	return [
		chainCase(rule, 'a CA of the same name', [forge({ issuer: stranger })], no),
		chainCase(rule, 'a CA of the same name, which is shown', [forge({ issuer: stranger }), stranger], no),
		chainCase(rule, 'another CA', [forge({ issuer: other })], no),
		chainCase(rule, 'another CA, which is shown', [forge({ issuer: other }), other], no),
		chainCase(rule, 'another CA, with the right one beside it', [forge({ issuer: other }), other, ROOT], no),
		chainCase(rule, 'itself', [self], no),
		chainCase(rule, 'itself, shown twice', [self, self], /it is not a CA/),
		chainCase(rule, 'an intermediate that is not shown', [forge({ issuer: middle })], no),
		chainCase(rule, 'the upper one of two is not shown', [forge({ issuer: lower }), lower], no),
		chainCase(rule, 'the lower one of two is not shown', [forge({ issuer: lower }), middle], no),
		chainCase(
			rule,
			'an intermediate of another root',
			[forge({ issuer: issuing({}, { issuer: stranger }) }), issuing({}, { issuer: stranger })],
			no,
		),
		chainCase(rule, 'the issuer is another by name', [forge({ issuer: ROOT, issuerName: name('somebody') })], no),
		chainCase(
			'a bundle for its own domain only',
			'a domain without a bundle',
			[forge({ issuer: ROOT, ...named('spiffe://nobody.org/a') })],
			/no trust bundle for its trust domain nobody\.org/,
		),
		chainCase(
			'a bundle for its own domain only',
			'a part of the domain',
			[forge({ issuer: ROOT, ...named('spiffe://sub.example.org/a') })],
			/no trust bundle for its trust domain sub\.example\.org/,
		),
		chainCase(
			'a bundle for its own domain only',
			'a domain that has another',
			[forge({ issuer: ROOT, ...named('spiffe://partner.org/a') })],
			no,
		),
		chainCase(
			'a bundle for its own domain only',
			'a domain whose bundle is empty',
			[forge({ issuer: ROOT, ...named('spiffe://empty.org/a') })],
			no,
		),
		chainCase(
			'at most nine certificates beside the leaf',
			'ten',
			[forge({ issuer: ROOT }), ...Array.from({ length: 10 }, () => ROOT)],
			/more than 9 other certificates/,
		),
		deep(9),
	];
}

/** Under more CAs than a path may have. */
function deep(count: number): Case {
	const chain: Made[] = [];
	for (let depth = 0; depth < count; depth++)
		chain.unshift(ca({ issuer: chain[0] ?? ROOT, subject: name(`ca ${depth}`) }));
	return chainCase(
		'a path of at most eight CAs',
		`${count + 1}`,
		[forge({ issuer: chain[0] ?? ROOT }), ...chain],
		/not issued by a CA/,
	);
}

function signers(): Case[] {
	const half = forge({ issuer: ROOT, subject: name('agent') });
	const keyCertSign = /its key usage has no keyCertSign|not issued by a CA/;
	const notCa = /it is not a CA|not issued by a CA/;
	const purpose = /its extended key usage has not both serverAuth and clientAuth/;
	return [
		under('a CA: cA', 'a leaf', half, notCa),
		under('a CA: cA', 'false', issuing({ constraints: constraints(false) }), notCa),
		under('a CA: cA', 'no basic constraints', issuing({ constraints: null }), notCa),
		under('a CA: cA', 'version 1', issuing({}, { version: null, extensions: null }), notCa),
		under('a CA: keyCertSign', 'no key usage', issuing({ usage: null }), keyCertSign),
		...[[0], [6], [0, 6], [2], [0, 1, 2, 3, 4, 6]].map(bits =>
			under('a CA: keyCertSign', `bits ${bits}`, issuing({ usage: usage(bits) }), keyCertSign),
		),
		...[
			[PURPOSE.serverAuth],
			[PURPOSE.clientAuth],
			[PURPOSE.codeSigning],
			[PURPOSE.ocspSigning, PURPOSE.timeStamping],
			[PURPOSE.serverAuth, PURPOSE.emailProtection],
		].flatMap(ids =>
			[true, false].map(critical =>
				under(
					'a CA: both purposes, or none',
					`${ids}, critical: ${critical}`,
					issuing({ more: [purposes(ids, critical)] }),
					purpose,
				),
			),
		),
		...['2.5.29.36', '2.5.29.54', '2.5.29.33', '2.5.29.31', '1.3.6.1.4.1.55555.1', '1.3.6.1.5.5.7.1.24'].map(id =>
			under(
				'a CA: no critical extension that is not understood',
				id,
				issuing({ more: [extension(id, true, NULL)] }),
				new RegExp(`issuing CA 1: the critical extension ${id.replaceAll('.', '\\.')} is not understood`),
			),
		),
	];
}

function lengths(): Case[] {
	const rule = 'path length';
	const no = /there are more CAs below it than its path length allows/;
	const chainUnder = (length: number, below: number): Case => {
		const top = issuing({ constraints: constraints(true, length) });
		const chain = [top];
		for (let depth = 0; depth < below; depth++)
			chain.unshift(ca({ issuer: chain[0] ?? top, subject: name(`below ${depth}`) }));
		return chainCase(rule, `${length}, ${below} below`, [forge({ issuer: chain[0] ?? top }), ...chain], no);
	};
	return [chainUnder(0, 1), chainUnder(0, 2), chainUnder(1, 2), chainUnder(1, 3), chainUnder(2, 3)];
}

function ids(): Case[] {
	const rule = 'a signing certificate has no path in its SPIFFE ID';
	const path = /issuing CA 1: its SPIFFE ID has a path/;
	const bad = /issuing CA 1: its URI name is not a SPIFFE ID/;
	const with_ = (...texts: readonly string[]): Made => issuing({ more: [san(texts.map(uri))] });
	return [
		under(rule, 'that of a workload', with_('spiffe://example.org/ca'), path),
		under(rule, 'of another domain', with_('spiffe://other.org/a/b'), path),
		under(
			rule,
			'beside one without',
			with_('spiffe://example.org', 'spiffe://example.org/ca'),
			/more than one SPIFFE ID/,
		),
		under(rule, 'a slash at the end', with_('spiffe://example.org/'), bad),
		under(rule, 'an id that is none', with_('spiffe://Example.org'), bad),
		under(rule, 'an id with a port', with_('spiffe://example.org:1'), bad),
		under(rule, 'a scheme in upper case', with_('SPIFFE://example.org'), bad),
		under(
			'a signing certificate has at most one SPIFFE ID',
			'two',
			with_('spiffe://example.org', 'spiffe://other.org'),
			/more than one SPIFFE ID/,
		),
		under(
			'the key usage of a signing SVID is critical',
			'it is not',
			issuing({ usage: usage([5, 6], false), more: [san([uri('spiffe://example.org')])] }),
			/issuing CA 1: its key usage is not critical/,
		),
	];
}

function names(): Case[] {
	const rule = 'name constraints';
	const permitted = /not permitted by the name constraints/;
	const excluded = /excluded by the name constraints/;
	const kind = /cannot be judged/;
	const permit = (...trees: readonly Uint8Array[]): Made => issuing({ more: [nameConstraints(trees)] });
	const exclude = (...trees: readonly Uint8Array[]): Made => issuing({ more: [nameConstraints([], trees)] });
	const leaf = (...more: readonly Uint8Array[]): Draft => ({
		extensions: leafExtensions({ san: san([uri(AGENT), ...more]) }),
	});
	const raw = (...contents: readonly Uint8Array[]): Made =>
		issuing({ more: [extension('2.5.29.30', true, sequence(...contents))] });
	const broken = /a certificate of its chain cannot be read: (nameConstraints|subtree)/;
	return [
		...[
			'other.org',
			'.example.org',
			'org',
			'ample.org',
			'',
			'example.org.evil',
			'EXAMPLE.NET',
			'spiffe://example.org',
		].map(text => under(rule, `permitted ${text}`, permit(uri(text)), permitted)),
		under(rule, 'two permitted', permit(uri('a.org'), uri('b.org')), permitted),
		...['example.org', 'EXAMPLE.ORG', ''].map(text => under(rule, `excluded ${text}`, exclude(uri(text)), excluded)),
		under(
			rule,
			'permitted and excluded',
			issuing({ more: [nameConstraints([uri('example.org')], [uri('example.org')])] }),
			excluded,
		),
		under(rule, 'DNS not permitted', permit(dns('other.org')), permitted, { leaf: leaf(dns('example.org')) }),
		under(rule, 'DNS excluded', exclude(dns('example.org')), excluded, { leaf: leaf(dns('a.example.org')) }),
		under(rule, 'an address', permit(ip('0a000000ff000000')), kind, { leaf: leaf(ip('7f000001')) }),
		under(rule, 'an e-mail address', permit(email('example.org')), kind, { leaf: leaf(email('a@example.org')) }),
		under(rule, 'a directory name', permit(tlv(0xa4, name('leaf'))), kind),
		under(rule, 'one of the CA above', ca({ issuer: permit(uri('other.org')), subject: name('lower') }), permitted, {
			with: [permit(uri('other.org'))],
		}),
		under('name constraints: well formed', 'empty', raw(), broken),
		under('name constraints: well formed', 'an empty list', raw(tlv(0xa0)), broken),
		under(
			'name constraints: well formed',
			'a minimum',
			raw(tlv(0xa0, sequence(uri('example.org'), tlv(0x80, Buffer.from([1]))))),
			broken,
		),
	];
}

function times(): Case[] {
	const late = { cause: 'identity_expired' } as const;
	const over = issuing({}, { notBefore: utcTime(NOW - 9 * HOUR), notAfter: utcTime(NOW - HOUR) });
	const early = issuing({}, { notBefore: utcTime(NOW + HOUR), notAfter: utcTime(NOW + 9 * HOUR) });
	const below = ca({ issuer: over, subject: name('below') });
	return [
		under('every CA within its validity', 'over', over, /issuing CA 1: it expired at/, late),
		under('every CA within its validity', 'not yet', early, /issuing CA 1: it is not valid before/, late),
		under('every CA within its validity', 'the upper one', below, /issuing CA 2: it expired at/, {
			...late,
			with: [over],
		}),
	];
}

export const chainCases = (): Case[] => [...anchors(), ...signers(), ...lengths(), ...ids(), ...names(), ...times()];
