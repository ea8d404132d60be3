"""The node's half: the ordered pipeline from the kernel to the spool, and its main."""
