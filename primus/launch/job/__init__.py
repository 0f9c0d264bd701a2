"""The first process of a Slurm job, on the first of its nodes: starts agents and recorder, and says how it all ended.

It must begin within 50 ms: of Primus it uses the parts that need the standard library alone.
"""
