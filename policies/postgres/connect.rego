# Database sessions: who may open one to which database, as which user.
package sallyport.connect

allow if {
	input.call.protocol == "postgres"
	some prefix in input.agent.prefixes
	data.grants.postgres[prefix][input.target.name][input.sql.database][input.sql.user]
}

deny contains {"msg": "nobody works as the superuser", "code": "superuser"} if {
	input.call.protocol == "postgres"
	input.sql.user == "postgres"
}
