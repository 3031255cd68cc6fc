"""AnyNets on a CPU without torch's kernels: several times faster, where a C compiler is at hand.

``kernels.c`` trains and evaluates, ``build`` compiles it once for this machine, ``engine`` puts it behind a
module. Everything works without it; torch's own modules then do the same, slower.
"""
