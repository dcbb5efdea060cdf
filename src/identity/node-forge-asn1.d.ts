/** The ASN.1 layer alone: the whole of node-forge costs ten times the memory. */
declare module 'node-forge/lib/asn1.js' {
	import type forge from 'node-forge';

	const layer: typeof forge.asn1;
	export default layer;
}
