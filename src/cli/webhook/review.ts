import * as z from 'zod';
import { inject } from './inject.ts';
import { type Injection, podShape } from './injection.ts';

const reviewShape = z.looseObject({
	apiVersion: z.literal('admission.k8s.io/v1'),
	kind: z.literal('AdmissionReview'),
	request: z.looseObject({
		uid: z.string().min(1).max(256),
		kind: z.looseObject({ group: z.string().optional(), kind: z.string() }),
		operation: z.string(),
		object: z.unknown(),
	}),
});

/** Answers an AdmissionReview (admission.k8s.io/v1). Undefined when the text is none. */
export function answerReview(text: string, injection: Injection): object | undefined {
	let parsed: unknown;
	try {
		parsed = JSON.parse(text);
	} catch {
		return undefined;
	}
	const review = reviewShape.safeParse(parsed);
	if (!review.success) return undefined;
	const { uid, kind, operation, object } = review.data.request;
	const answer = (response: object): object => ({
		apiVersion: 'admission.k8s.io/v1',
		kind: 'AdmissionReview',
		response: { uid, ...response },
	});
	const refuse = (message: string): object =>
		answer({ allowed: false, status: { code: 403, reason: 'Forbidden', message: `sallyport: ${message}` } });
	if (kind.kind !== 'Pod' || operation !== 'CREATE') return refuse('only pods that are created are judged here');
	const pod = podShape.safeParse(object);
	if (!pod.success) return refuse('the pod cannot be read');
	const injected = inject(pod.data, injection);
	if ('refused' in injected) return refuse(injected.refused);
	const { patch, warnings } = injected;
	return answer({
		allowed: true,
		...(patch.length === 0
			? {}
			: { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') }),
		...(warnings.length === 0 ? {} : { warnings }),
	});
}
