"""The network controller: says who belongs to a network and what may pass in it.

Policy, address pools and the issuer of signed objects are pure: rows and a key in, signed bytes
out. Store, API, web pages and the daemon do the I/O around them. The controller is needed to
change a network, not to run it: members verify what it signed among themselves.
"""
