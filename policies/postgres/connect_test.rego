package sallyport.postgres_test

import data.sallyport.connect

_grants := {"postgres": {"/agents/researcher": {"orders": {"orders": {"reader": true, "postgres": true}}}}}

_call(agent, database, user) := {
	"agent": {"prefixes": ["/agents", agent]},
	"target": {"name": "orders", "protocol": "postgres"},
	"call": {"protocol": "postgres", "operation": "connect", "effect": "unknown"},
	"sql": {"dialect": "postgres", "database": database, "user": user},
}

test_a_granted_user_is_allowed if {
	connect.allow with input as _call("/agents/researcher", "orders", "reader")
		with data.grants as _grants
}

test_another_database_is_not if {
	not connect.allow with input as _call("/agents/researcher", "people", "reader")
		with data.grants as _grants
}

test_another_user_is_not if {
	not connect.allow with input as _call("/agents/researcher", "orders", "owner")
		with data.grants as _grants
}

test_another_agent_is_not if {
	not connect.allow with input as _call("/agents/clerk", "orders", "reader")
		with data.grants as _grants
}

test_the_superuser_is_denied_even_if_granted if {
	some reason in connect.deny with input as _call("/agents/researcher", "orders", "postgres")
	reason.code == "superuser"
}
