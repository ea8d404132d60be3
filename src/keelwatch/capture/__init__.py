"""Bytes in: the sensor's ring buffers, and the container runtimes' log files with their checkpoints."""
