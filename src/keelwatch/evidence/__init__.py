"""What was observed and what was not, reckoned from the records: the centre's proof of its own work."""
