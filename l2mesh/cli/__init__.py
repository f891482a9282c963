"""The command line `l2mesh`: a thin client of the daemon's local API.

It imports nothing of the node: what it shows is what the API answered, as a table or as JSON.
Start-up is kept fast by importing late. Errors go to stderr with a hint where something helps, and
the exit code tells scripts what kind of failure it was.
"""
