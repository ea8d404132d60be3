"""Small tools without a domain."""
