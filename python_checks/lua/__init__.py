"""The Lua workshop: structural fixes for ET:Legacy scripts and their rehearsal in the engine stand-in.

``fix.fix`` applies codemods, ``rehearse.rehearse`` plays whole matches with a file and judges what came out.
"""
