"""How much faster the course's ways are than what one would otherwise write.

``python -m benchmarks`` prints two Markdown tables (in less than three minutes): numerical
gradients, and grids of optimizer settings. Every figure is a ratio of times measured side by side
in one process, and is only printed if the contenders arrive at the same numbers.
"""
