# Tunnels (CONNECT). What flows inside is not seen, so every host is granted by name.
package sallyport.connect

allow if {
	input.call.protocol == "tunnel"
	some prefix in input.agent.prefixes
	data.grants.tunnel[prefix][input.call.resource]
}

deny contains {"msg": "tunnels go to port 443 only", "code": "port"} if {
	input.call.protocol == "tunnel"
	input.target.port != 443
}
