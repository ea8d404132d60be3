"""Agents' records come in here: who may send, what is received, what is stored, what is acknowledged."""
