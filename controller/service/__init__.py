"""The daemon ``l2mesh-controller serve``: sockets, state and APIs around the controller's node."""
