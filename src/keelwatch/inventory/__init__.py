"""The cluster as its API server tells it: who existed when, and who may do what."""
