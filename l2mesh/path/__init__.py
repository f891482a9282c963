"""Paths: the ways to reach a peer, and which one to use now.

Candidates are gathered, probed inside the session and ranked; traffic starts on a relay, moves to
a direct endpoint when one has answered a challenge, and falls back when answers go missing. No
packet moves a path by its source address alone. Free of I/O: probes are returned, not sent.
"""
