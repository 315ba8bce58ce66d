"""What one decode step launches, and how long each part takes.

Milliseconds of a whole step over all layers, for one sequence. The norm of a
layer and the residual before it are two launches here.
"""

PARTS_MS = {
    "weights": 5.50,
    "attention": 0.30,
    "residual_add": 0.35,
    "rms_norm": 0.25,
    "sampling": 0.20,
}


def decode_base_ms() -> float:
    """Fixed time of a decode step."""
    return sum(PARTS_MS.values())
