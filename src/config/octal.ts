import { type Document, isMap, isScalar, isSeq } from 'yaml';

export interface NotOctal {
	readonly path: readonly (string | number)[];
	readonly message: string;
}

/**
 * File modes that are numbers and not written as octal ones: YAML 1.2 reads `0440` as four hundred and forty, which is
 * the mode 0670. What was written is known to the document alone.
 */
export function decimalModes(document: Document): NotOctal[] {
	const listeners = document.get('listeners', true);
	if (!isSeq(listeners)) return [];
	return listeners.items.flatMap((listener, index) => {
		const mode = isMap(listener) ? listener.get('mode', true) : undefined;
		if (!isScalar(mode) || typeof mode.value !== 'number' || mode.format === 'OCT') return [];
		const digits = (mode.source ?? '').replace(/^0+(?=\d{3})/, '');
		const meant = /^[0-7]{3}$/.test(digits) ? digits : '660';
		return [
			{
				path: ['listeners', index, 'mode'],
				message: `${mode.source} is no octal number in YAML: one is written 0o${meant}`,
			},
		];
	});
}
