"""The dataflow: signals in, avatar frames out. ``python -m bytewax.run dataflows.fusion:flow`` runs it by hand."""

import os
import threading
from functools import partial

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from dataflows.context import Context
from dataflows.fuse import ShardLogic
from dataflows.sink import FrameSink
from dataflows.source import SignalSource
from runtime.clock import SystemClock
from runtime.metrics import Metrics
from runtime.settings import Settings


def build(context: Context) -> Dataflow:
    """One source, one stateful step keyed by partition, one sink."""
    flow = Dataflow("fusion")
    signals = op.input("signals", flow, SignalSource(context))
    fused = op.stateful_batch("fuse", signals, partial(ShardLogic.build, context))
    op.output("frames", fused, FrameSink(context))
    return flow


def flow() -> Dataflow:
    """The dataflow over every partition, by the environment's settings."""
    settings = Settings.from_env(os.environ)
    return build(Context.build(settings, Metrics("fusion"), SystemClock(), threading.Event()))
