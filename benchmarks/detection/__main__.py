"""python -m benchmarks.detection."""

from .comparison import main

main()
