"""``rollout lua scan``: what will not load or will misbehave, per target interpreter.

``run.scan_source`` judges one file's bytes, ``run.scan_paths`` files and folders. ``codes.CODES`` is the list of what it can say.
"""
