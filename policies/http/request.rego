# HTTP calls: who may read or write at which upstream.
package sallyport.request

allow if {
	input.call.protocol == "http"
	some prefix in input.agent.prefixes
	data.grants.http[prefix][input.target.name][input.call.effect]
}

deny contains {"msg": "exports need the data office", "code": "export"} if {
	input.call.protocol == "http"
	input.http.segments[0] == "export"
}

# A refund moves money: a person says yes first.
ask contains {"msg": "refunds need a person", "code": "refund"} if {
	input.call.effect == "write"
	input.http.segments[0] == "refunds"
}
