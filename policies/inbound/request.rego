# Calls that come in: who may read or write at the workload behind.
package sallyport.inbound.request

# By the whole id: a path alone would be the same in every trust domain.
allow if {
	input.call.protocol == "http"
	some prefix in input.agent.prefixes
	caller := concat("", ["spiffe://", input.agent.trust_domain, prefix])
	data.grants.inbound[input.target.agent][caller][input.call.effect]
}

deny contains {"msg": "administration is not for other agents", "code": "admin"} if {
	input.call.protocol == "http"
	input.http.segments[0] == "admin"
}
