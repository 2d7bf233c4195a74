"""store: the ledger's database. `tables` says what there is, `engine` connects, `schema` runs the migrations,
`write` puts rows in (with their roll-up, in one transaction), `read` gets numbers out.
"""
