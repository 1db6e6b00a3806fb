"""How far a neural simulator can be trusted: it is held against physics, environment by environment; docs/audit.md.

>>> from pocketworlds.benchmarks.audit.run import Plan, run_audit
>>> from pocketworlds.benchmarks.audit.subject import Subject
>>> audit = run_audit(Plan(Subject("PocketWorlds/Push-v0", checkpoint="model.safetensors")), out)  # doctest: +SKIP
"""
