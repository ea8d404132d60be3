"""What the API server says was asked of it: received or read, checked, deduplicated, judged by rules, stored.

parse → (identity, detection) → redact → records → writer. Events come by the API server's webhook
(routes) and from its log files (follow); what it says it dropped becomes a gap (dropped).
"""
