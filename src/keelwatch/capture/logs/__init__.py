"""Container log files in, chunks of whole lines out. See `follower` for the guarantees."""

from keelwatch.capture.logs.batch import LogBatch, LogRound, LogTarget
from keelwatch.capture.logs.follower import Follower

__all__ = ["Follower", "LogBatch", "LogRound", "LogTarget"]
