"""keelwatch: what a workload did, and whether anything went unmonitored."""

__version__ = "0.1.0"
