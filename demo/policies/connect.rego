# Judges the opening of tunnels (CONNECT) and of database sessions.
package sallyport.connect

allow if data.grants[input.agent.path][input.target.name].connect
