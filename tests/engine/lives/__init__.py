"""Lives of two nodes, by which engines are compared."""
