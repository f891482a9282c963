"""Networks as a member sees them: joining, the signed config, and the roster of members.

A join travels through the same states whether it ends well or not: requesting, ok, denied, not
found, error. What the controller signed is remembered, so that a running network outlives its
controller's absence; what it wants changed on this host waits for local consent.
"""
