"""The switch: who gets a frame, by the rules an Ethernet bridge follows.

Policy of the forwarding database (learning, ageing, moves, caps), flooding with split horizon,
multicast groups, the loop guard between bridges, and the guards on MAC and IP addresses. The
engines do the work per frame; what is decided here reaches them as commands.
"""
