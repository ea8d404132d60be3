"""Records get their context here: process ancestry, container identity, file history and content."""
