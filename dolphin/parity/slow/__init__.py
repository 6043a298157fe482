"""The engine once more, in plain Python, written from ENGINE and ``docs/engine.md`` alone (rung R).

It shares no line with the kernels; what the two agree on, bit by bit, the page says.
"""
