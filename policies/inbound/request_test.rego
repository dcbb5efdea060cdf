package sallyport.inbound.request_test

import data.sallyport.inbound.request

_grants := {"inbound": {"spiffe://example.org/agents/writer": {
	"spiffe://example.org/agents/researcher": {"read": true},
	"spiffe://partner.org/tools": {"read": true, "write": true},
}}}

_call(trust_domain, prefixes, effect) := {
	"direction": "inbound",
	"agent": {"trust_domain": trust_domain, "prefixes": prefixes},
	"target": {"agent": "spiffe://example.org/agents/writer"},
	"call": {"protocol": "http", "effect": effect},
	"http": {"segments": ["drafts"]},
}

_researcher := ["/agents", "/agents/researcher"]

test_a_grant_allows if {
	request.allow with input as _call("example.org", _researcher, "read")
		with data.grants as _grants
}

test_a_grant_to_a_prefix_allows if {
	request.allow with input as _call("partner.org", ["/tools", "/tools/a"], "write")
		with data.grants as _grants
}

test_another_effect_is_not_granted if {
	not request.allow with input as _call("example.org", _researcher, "write")
		with data.grants as _grants
}

test_the_same_path_of_another_trust_domain_is_not_granted if {
	not request.allow with input as _call("partner.org", _researcher, "read")
		with data.grants as _grants
}

test_another_workload_behind_is_not_granted if {
	call := _call("example.org", _researcher, "read")
	elsewhere := object.union(call, {"target": {"agent": "spiffe://example.org/agents/clerk"}})
	not request.allow with input as elsewhere
		with data.grants as _grants
}

test_administration_is_denied if {
	call := object.union(_call("example.org", _researcher, "read"), {"http": {"segments": ["admin", "users"]}})
	some reason in request.deny with input as call
	reason.code == "admin"
}
