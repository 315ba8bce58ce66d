"""A stand-in for SGLang: the same entry point, a simulated engine behind it."""

__version__ = "0.5.0"
